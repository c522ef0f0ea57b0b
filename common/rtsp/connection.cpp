#include "common/rtsp/connection.h"

namespace weir::rtsp {

Task<Parsed<Message>> Connection::read(Deadline begin, milliseconds whole) {
  Loop& loop = socket_->loop();
  Deadline deadline = reader_.idle() && unread_.empty() ? begin : loop.in(whole);
  while (true) {
    const bool was_idle = reader_.idle();
    auto item = reader_.next(unread_);
    if (!item) co_return std::unexpected(item.error());
    if (!item->frames.empty())
      co_return http::refuse(400, Errc::Protocol, "interleaved data before any was set up");
    if (item->message) co_return std::move(*item->message);
    if (was_idle && !reader_.idle()) deadline = loop.in(whole);
    // By way of the loop's memory, so that a connection holds no more than what has come.
    const auto piece = loop.scratch().first(kReceive);
    auto got = socket_->try_read(piece);
    if (got && *got > 0) {
      buffer_.assign(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*got));
      unread_ = buffer_;
      continue;
    }
    if (got) {
      buffer_ = ByteBuffer();
      unread_ = {};
      auto ready = co_await socket_->readable(deadline);
      if (ready) continue;
      got = std::unexpected(ready.error());
    }
    const bool torn = got.error().code == Errc::Closed && !reader_.idle();
    const bool slow = got.error().code == Errc::Timeout && !reader_.idle();
    co_return http::refuse(slow ? 408 : 0, torn ? Errc::Reset : got.error().code,
                           torn ? "connection ended inside a message" : got.error().text);
  }
}

Task<Result<void>> Connection::write(Message message, Deadline deadline) {
  std::string text;
  rtsp::write(message, text);
  auto sent = co_await socket_->write(as_bytes(text), deadline);
  co_return sent;
}

}  // namespace weir::rtsp
