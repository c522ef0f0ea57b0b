// However a client's bytes are cut, the same requests reach the server, what is said back is whole
// frames, and when the client has left nobody and nothing is left of it. The first byte chooses how to
// cut. Of a client that breaks the rules more or less may have been served before that shows.
#include "test/support/h2_wire.h"

namespace {

using namespace weir;
using namespace weir::test;

using Requests = std::optional<std::vector<std::string>>;

Task<void> converse(Loop& loop, ByteView said, std::size_t piece, Requests& requests) {
  {
    H2Rig rig(loop);
    co_await Turn{loop};
    rig.wire->piece = piece;
    rig.say(std::string(as_text(said)));
    for (int turn = 0; turn < 3; ++turn) co_await Turn{loop};
    rig.leave();
    const bool ended = co_await comes_true(loop, [&] { return rig.over && rig.served == 0; });
    INVARIANT(ended && rig.wire->closed, rig.served);
    std::size_t framed = 0;
    for (const H2Frame& frame : rig.heard()) framed += frame.text().size();
    INVARIANT(framed == rig.wire->to_client.size(), framed, rig.wire->to_client.size());
    INVARIANT(rig.requests.size() <= said.size());
    if (!rig.goaway() && rig.count(H2Frame::Reset) == 0) requests = rig.requests;
  }
  co_await end_all_others(loop);
}

Requests requests_in(ByteView said, std::size_t piece) {
  Loop loop;
  Requests requests;
  run(loop, converse(loop, said, piece, requests));
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView said(data + 1, size - 1);
  const Requests whole = requests_in(said, size);
  const Requests pieces = requests_in(said, data[0] + std::size_t{1});
  INVARIANT(!whole || !pieces || *whole == *pieces);
  return 0;
}
