// However a stream is cut, the same messages and frames are read, or the same refusal. A message
// that was read is written so that it reads the same; mapped to another address, it is so mapped
// already, and no other address is left where one may stand. The first byte chooses how to cut.
#include <algorithm>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/wire/rtsp.h"
#include "common/wire/rtsp_transport.h"
#include "common/wire/rtsp_url.h"

namespace {

using namespace weir;

constexpr std::string_view kBase = "rtsp://proxy:554";

struct Heard {
  std::vector<rtsp::Message> messages;
  std::string frames;
  std::string error;
  bool idle = false;
  friend bool operator==(const Heard&, const Heard&) = default;
};

Heard hear(ByteView stream, std::size_t piece) {
  Heard heard;
  rtsp::Reader reader;
  while (!stream.empty()) {
    ByteView input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    while (!input.empty()) {
      const std::size_t before = input.size();
      auto item = reader.next(input);
      if (!item) {
        heard.error = item.error().text + std::to_string(item.error().status);
        return heard;
      }
      INVARIANT(input.size() < before);
      INVARIANT(item->frames.empty() || !item->message);
      heard.frames += as_text(item->frames);
      if (item->message) heard.messages.push_back(std::move(*item->message));
    }
  }
  heard.idle = reader.idle();
  return heard;
}

void check_urls(std::string_view text) {
  const std::string url = rtsp::with_base(text, kBase);
  INVARIANT(rtsp::with_base(url, kBase) == url, url);
  if (rtsp::base_of(text)) INVARIANT(rtsp::base_of(url) == kBase, url);
  const std::string info = rtsp::rtp_info_with_base(text, kBase);
  INVARIANT(rtsp::rtp_info_with_base(info, kBase) == info, info);
  const std::string sdp = rtsp::sdp_with_base(text, kBase);
  INVARIANT(rtsp::sdp_with_base(sdp, kBase) == sdp, sdp);
  const std::string_view stream = rtsp::without_track(text);
  INVARIANT(text.starts_with(stream));
  const std::string kept = rtsp::interleaved_only(text);
  INVARIANT(rtsp::interleaved_only(kept) == kept, kept);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);
  const Heard whole = hear(stream, size);
  const Heard pieces = hear(stream, data[0] + std::size_t{1});
  INVARIANT(whole == pieces, whole.error, pieces.error);
  for (const rtsp::Message& message : whole.messages) {
    std::string text;
    rtsp::write(message, text);
    const Heard again = hear(as_bytes(text), text.size());
    INVARIANT(again.messages.size() == 1 && again.messages.front() == message, text);
    INVARIANT(again.idle, text);
    check_urls(message.uri);
    check_urls(message.body);
    for (const http::Header& field : message.headers) check_urls(field.value);
  }
  check_urls(as_text(stream));
  return 0;
}
