// However a client's frames are cut, the same control frames are heard, or the same error. The first byte
// chooses how to cut. What is said back is a frame of just that payload.
#include <algorithm>
#include <string>

#include "common/check.h"
#include "common/wire/websocket_frame.h"
#include "test/support/websocket_client.h"

namespace {

using namespace weir;

struct Heard {
  ByteBuffer answers;
  std::string error;
  friend bool operator==(const Heard&, const Heard&) = default;
};

Heard hear(ByteView stream, std::size_t piece) {
  Heard heard;
  websocket::FrameReader reader;
  while (!stream.empty()) {
    ByteView input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    for (;;) {
      auto frame = reader.next(input);
      if (!frame) {
        heard.error = frame.error().text;
        return heard;
      }
      if (!*frame) break;
      const ByteView payload = (*frame)->payload;
      INVARIANT(payload.size() <= websocket::kMaxControl, payload.size());
      ByteBuffer answer;
      websocket::append_frame(answer, (*frame)->opcode, payload);
      const auto read = test::server_frames(answer);
      INVARIANT(read.size() == 1 && std::ranges::equal(read.front().payload, payload));
      append(heard.answers, answer);
    }
    INVARIANT(input.empty());
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);
  const Heard whole = hear(stream, size);
  const Heard pieces = hear(stream, data[0] + std::size_t{1});
  INVARIANT(whole == pieces, whole.error, pieces.error);
  return 0;
}
