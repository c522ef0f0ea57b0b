#include "proxy/rtsp_lane.h"

namespace weir {

RtspLane::RtspLane(Socket& from, Socket& to, const rtsp::Reader& reader, ByteView unread,
                   OnMessage on_message, milliseconds stall_timeout, Tally& tally)
    : RelayPipe(from, to, unread, stall_timeout, tally),
      reader_(reader),
      on_message_(std::move(on_message)),
      heard_at_(from.loop().now()) {}

Result<void> RtspLane::insert(const rtsp::Message& message) {
  if (inserted_.size() > kMaxInserted) return fail(Errc::Limit, "answers are not taken");
  rtsp::write(message, inserted_);
  // Otherwise run() sends it when the frame under way is through.
  if (!reader_.between_frames()) return {};
  const std::string text = std::exchange(inserted_, {});
  if (kept() > kReceive) return fail(Errc::Limit, "answers are not taken");
  return send(as_bytes(text));
}

Result<void> RtspLane::forward(std::span<std::uint8_t> received) {
  heard_at_ = from().loop().now();
  ByteView input = received;
  while (!input.empty()) {
    // Media that never pauses must not keep what is to be inserted waiting.
    auto item = inserted_.empty() ? reader_.next(input) : reader_.next_single(input);
    if (!item) {
      refusal_ = item.error().status;
      return std::unexpected(item.error());
    }
    if (on_media && !item->frames.empty()) std::exchange(on_media, nullptr)();
    auto sent = send(item->frames);
    if (!sent) return sent;
    if (item->message) {
      text_.clear();
      auto passed = on_message_(std::move(*item->message), text_);
      if (!passed) return passed;
      sent = send(as_bytes(text_));
      if (!sent) return sent;
    }
    if (inserted_.empty() || !reader_.between_frames()) continue;
    sent = send(as_bytes(std::exchange(inserted_, {})));
    if (!sent) return sent;
  }
  return {};
}

// Sends what it can and keeps the rest.
Result<void> RtspLane::send(ByteView bytes) {
  if (bytes.empty()) return {};
  if (kept() == 0) {
    const iovec piece{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    auto sent = try_send({&piece, 1});
    if (!sent) return std::unexpected(sent.error());
    bytes = bytes.subspan(*sent);
  }
  keep(bytes);
  return {};
}

}  // namespace weir
