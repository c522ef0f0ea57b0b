// Server and client take any bytes in any pieces, consume alike, and put out what the protocol says
// and no more. The first byte chooses the piece size, the second the client's kind.
#include <algorithm>

#include "common/check.h"
#include "common/wire/rtmp_handshake.h"

namespace {

using namespace weir;
using rtmp::kHandshakeSize;

struct Outcome {
  bool ok = true;
  bool done = false;
  std::size_t consumed = 0;
  std::size_t sent = 0;
};

template <class Handshake>
Outcome feed_pieces(Handshake handshake, ByteView bytes, std::size_t piece) {
  Outcome outcome;
  while (!bytes.empty() && outcome.ok) {
    ByteView input = bytes.first(std::min(piece, bytes.size()));
    const std::size_t before = input.size();
    outcome.ok = handshake.feed(input).has_value();
    outcome.consumed += before - input.size();
    INVARIANT(input.empty() || handshake.done() || !outcome.ok);
    if (!input.empty()) break;
    bytes = bytes.subspan(before);
  }
  outcome.done = handshake.done();
  outcome.sent = handshake.output().size();
  return outcome;
}

void compare(const Outcome& a, const Outcome& b) {
  INVARIANT(a.ok == b.ok);
  INVARIANT(a.done == b.done);
  INVARIANT(a.consumed == b.consumed, a.consumed, b.consumed);
  INVARIANT(a.sent == b.sent, a.sent, b.sent);
  INVARIANT(a.done == (a.consumed == 1 + 2 * kHandshakeSize), a.consumed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = std::size_t{1} + data[0] * std::size_t{8};
  const auto kind = rtmp::HandshakeKind{static_cast<std::uint8_t>(data[1] % 3)};
  const ByteView bytes(data + 2, size - 2);

  const Outcome server = feed_pieces(rtmp::ServerHandshake(), bytes, piece);
  compare(server, feed_pieces(rtmp::ServerHandshake(), bytes, size));
  INVARIANT(server.sent == (server.consumed > kHandshakeSize ? 1 + 2 * kHandshakeSize : 0));

  const Outcome client = feed_pieces(rtmp::ClientHandshake(kind), bytes, piece);
  compare(client, feed_pieces(rtmp::ClientHandshake(kind), bytes, size));
  INVARIANT(client.sent ==
            1 + kHandshakeSize + (client.consumed > kHandshakeSize ? kHandshakeSize : 0));
  return 0;
}
