// A packet is read as a handshake. What was read, written again, reads the same; extensions cover
// what follows the fixed part exactly; a streamid taken out and put in stays the same.
#include "common/check.h"
#include "common/wire/srt.h"

using namespace weir;
using namespace weir::srt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView packet(data, size);
  auto handshake = parse_handshake(packet);
  if (!handshake) return 0;
  INVARIANT(size >= kHandshakeSize);
  const ByteBuffer written = write(*handshake);
  auto again = parse_handshake(written);
  INVARIANT(again.has_value());
  INVARIANT(write(*again) == written);
  INVARIANT(again->socket_id == handshake->socket_id && again->type == handshake->type);

  std::size_t covered = 0;
  ByteView rest = handshake->extensions;
  while (const auto extension = next_extension(rest)) covered += 4 + extension->content.size();
  INVARIANT(covered == handshake->extensions.size());

  const auto id = stream_id(*handshake);
  if (!id || id->empty()) return 0;
  INVARIANT(id->size() <= kMaxStreamId);
  ByteBuffer extensions;
  append_stream_id(extensions, *id);
  again->extensions = extensions;
  const auto same = stream_id(*again);
  INVARIANT(same.has_value() && *same == *id);
  return 0;
}
