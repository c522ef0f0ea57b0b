#include "common/http/h2_stream.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"

namespace weir::http {

// -------------------------------------------------------------------------------- from the client

H2Stream::~H2Stream() {
  if (transport != nullptr) transport->orphan();
}

Result<void> H2Stream::begin(bool has_body) {
  auto head = fields.head(has_body);
  if (!head) return std::unexpected(head.error());
  chunked_ = fields.chunked(has_body);
  request_ended_ = !has_body;
  append(received_, as_bytes(*head));
  wanted_ = true;
  return {};
}

void H2Stream::feed(ByteView data) {
  if (data.empty()) return;
  unacked_ += data.size();
  if (!wanted_ || complete_) {
    streams_.consumed(id_, std::exchange(unacked_, 0));
    return;
  }
  if (chunked_) append(received_, as_bytes(fmt::format("{:x}\r\n", data.size())));
  append(received_, data);
  if (chunked_) append(received_, as_bytes("\r\n"));
  streams_.notify(id_, EPOLLIN);
}

void H2Stream::leave() {
  transport = nullptr;
  wanted_ = false;
}

void H2Stream::end_request() {
  if (std::exchange(request_ended_, true)) return;
  if (chunked_) append(received_, as_bytes("0\r\n\r\n"));
  streams_.notify(id_, EPOLLIN);
}

Result<std::size_t> H2Stream::read(std::span<std::uint8_t> into) {
  const ByteView rest = ByteView(received_).subspan(read_);
  // The end of a request's bytes is not the client's: it waits for the response.
  if (rest.empty() && complete_) return fail(Errc::Closed, "end of the stream");
  if (rest.empty() && broken_) return fail(Errc::Reset, "stream was reset");
  if (rest.empty()) return 0;
  const std::size_t size = std::min(rest.size(), into.size());
  std::ranges::copy(rest.first(size), into.begin());
  read_ += size;
  if (read_ == received_.size()) {
    received_ = ByteBuffer();
    read_ = 0;
    if (unacked_ > 0) streams_.consumed(id_, std::exchange(unacked_, 0));
  }
  return size;
}

// -------------------------------------------------------------------------------- towards the client

Result<std::size_t> H2Stream::write(std::span<const iovec> pieces) {
  if (broken_) return fail(Errc::Reset, "stream was reset");
  std::size_t taken = 0;
  for (const iovec& piece : pieces) {
    const ByteView whole(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len);
    ByteView rest = whole;
    bool room = true;
    while (room && !rest.empty()) {
      auto went_on = take_some(rest);
      if (!went_on) return std::unexpected(went_on.error());
      room = *went_on;
    }
    taken += whole.size() - rest.size();
    if (!room) break;
  }
  if (head_sent_ && !complete_ && body_.ended()) {
    complete_ = true;
    streams_.notify(id_, EPOLLIN);
  }
  if (taken > 0) streams_.resume(id_);
  return taken;
}

// False: there is no room.
Result<bool> H2Stream::take_some(ByteView& bytes) {
  if (!head_sent_) {
    auto head = head_.next(bytes);
    if (!head) {
      end_response();
      return std::unexpected<Error>(head.error());
    }
    if (!*head) return true;
    if ((*head)->status < 200) {  // what is interim is for HTTP/1.1
      head_ = ResponseReader();
      return true;
    }
    head_sent_ = true;
    body_ = Body(framing_of(**head, fields.method()));
    streams_.submit(id_, **head);
    return true;
  }
  if (body_.ended()) {  // nothing may follow
    bytes = {};
    return true;
  }
  const std::size_t waiting = to_send().size();
  if (waiting >= kSendBuffer) return false;
  if (sent_ > 0 && sent_ >= to_send_.size() / 2) {
    to_send_.erase(to_send_.begin(), to_send_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  ByteView some = bytes.first(std::min(bytes.size(), kSendBuffer - waiting));
  const std::size_t offered = some.size();
  auto content = body_.next(some);
  if (!content) {
    end_response();
    return std::unexpected<Error>(content.error());
  }
  append(to_send_, *content);
  bytes = bytes.subspan(offered - some.size());
  return true;
}

void H2Stream::end_response() {
  if (complete_ || broken_) return;
  if (head_sent_ && body_.closed()) {
    complete_ = true;
    streams_.resume(id_);
  } else {
    broken_ = true;
    streams_.reset(id_);
  }
  streams_.notify(id_, EPOLLIN);
}

void H2Stream::cut() {
  if (!complete_) broken_ = true;
}

void H2Stream::sent(std::size_t bytes) {
  const bool was_full = full();
  sent_ += bytes;
  INVARIANT(sent_ <= to_send_.size());
  if (sent_ == to_send_.size()) {
    to_send_ = ByteBuffer();
    sent_ = 0;
  }
  if (was_full && !full()) streams_.notify(id_, EPOLLOUT);
}

// -------------------------------------------------------------------------------------- H2Transport

H2Transport::H2Transport(H2Stream& stream, std::shared_ptr<std::size_t> alive)
    : stream_(&stream), alive_(std::move(alive)) {
  stream.transport = this;
  ++*alive_;
}

H2Transport::~H2Transport() {
  close();
  --*alive_;
}

void H2Transport::orphan() {
  complete_ = stream_->complete();
  stream_ = nullptr;
}

std::unexpected<Error> H2Transport::gone() const {
  return complete_ ? fail(Errc::Closed, "end of the stream")
                   : fail(Errc::Reset, "stream was reset");
}

Result<std::size_t> H2Transport::read(std::span<std::uint8_t> into) {
  if (stream_ == nullptr) return gone();
  return stream_->read(into);
}

Result<std::size_t> H2Transport::write(std::span<const iovec> pieces) {
  if (stream_ == nullptr) return gone();
  return stream_->write(pieces);
}

void H2Transport::shut_down_writes() {
  if (stream_ != nullptr) stream_->end_response();
}

void H2Transport::watch(Loop&, Watcher& watcher) {
  if (stream_ != nullptr) stream_->watcher = &watcher;
}

void H2Transport::unwatch(Loop&, Watcher&) {
  if (stream_ != nullptr) stream_->watcher = nullptr;
}

void H2Transport::close() {
  if (stream_ == nullptr) return;
  stream_->leave();
  std::exchange(stream_, nullptr)->end_response();
}

}  // namespace weir::http
