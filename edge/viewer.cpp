#include "edge/viewer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/rtmp/server.h"
#include "edge/fanout.h"

namespace weir {

namespace {

constexpr std::size_t kMaxPieces = 16;
constexpr std::size_t kMaxAside = 4096;

}  // namespace

Viewer::Viewer(Fanout& fanout, Format format, Arrival arrival, const LogView& view)
    : fanout_(fanout),
      cursor_(Cursor::start(view)),
      fd_(arrival.socket->release()),
      format_(format),
      reconnects_(arrival.reconnects),
      joined_(fanout.loop().now()),
      progress_(joined_),
      reader_(std::move(arrival.reader)),
      frames_(std::move(arrival.frames)),
      id_(std::move(arrival.id)),
      peer_(arrival.socket->peer()),
      admission_(std::move(arrival.admission)),
      grant_(std::move(arrival.grant)),
      session_(
          {.kind = SessionKind::Play,
           .protocol = name(format),
           .stream = fanout.key(),
           .peer = peer_,
           .agent = std::move(arrival.agent),
           .page_url = std::move(arrival.page_url),
           .request_id = id_,
           .asked = arrival.asked},
          [this] { return Traffic{.received = received_, .sent = sent_}; },
          [this] {
            why_ = *session_.ended();
            fanout_.end(*this);
          }) {
  // Without a bound of ours the kernel would hold megabytes for a viewer that has stopped reading.
  const int send_buffer = static_cast<int>(fanout.options().send_buffer);
  setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  fanout_.loop().add(fd_, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
  if (!arrival.greeting.empty()) aside_ = std::make_unique<ByteBuffer>(std::move(arrival.greeting));
  // What is wrong with it shows again in what comes next.
  static_cast<void>(take_in(arrival.unread));
}

Viewer::~Viewer() {
  grant_.count({.received = received_, .sent = sent_});
  fanout_.loop().remove(fd_, *this);
  ::close(fd_);
}

bool Viewer::flush(const LogView& view) {
  if (blocked_) return true;
  std::array<iovec, kMaxPieces> pieces;
  std::size_t count = 0;
  std::size_t aside_bytes = 0;
  if (aside_ && !cursor_.inside_message()) {
    aside_bytes = aside_->size();
    pieces[count++] = {.iov_base = aside_->data(), .iov_len = aside_bytes};
  }
  bool jumped = false;
  if (auto rest = cursor_.rest_of_message(); rest && paused_) pieces[count++] = *rest;
  if (!paused_) count += cursor_.pieces(view, std::span(pieces).subspan(count), jumped);
  if (jumped) fanout_.count_jump(format_);
  if (count == 0) return true;
  return send(std::span(pieces).first(count), aside_bytes, view);
}

bool Viewer::send(std::span<const iovec> pieces, std::size_t aside_bytes, const LogView& view) {
  std::size_t wanted = 0;
  for (const auto& piece : pieces) wanted += piece.iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  const ssize_t result = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (result < 0 && errno != EAGAIN && errno != EINTR) {
    why_ = {errno == ETIMEDOUT ? Errc::Timeout : Errc::Reset, std::strerror(errno)};
    return false;
  }
  auto sent = static_cast<std::size_t>(std::max<ssize_t>(result, 0));
  blocked_ = sent < wanted;  // epoll tells when there is room again
  if (sent == 0) return true;
  if (sent_ == 0) session_.media_began();
  sent_ += sent;
  progress_ = fanout_.loop().now();
  fanout_.count_sent(format_, sent);
  if (aside_bytes > 0) {
    const std::size_t part = std::min(sent, aside_bytes);
    aside_->erase(aside_->begin(), aside_->begin() + static_cast<std::ptrdiff_t>(part));
    if (aside_->empty()) aside_.reset();
    sent -= part;
  }
  cursor_.advance(view, sent);
  return true;
}

void Viewer::aside(const ByteBuffer& bytes) {
  if (!aside_) aside_ = std::make_unique<ByteBuffer>();
  if (aside_->size() + bytes.size() <= kMaxAside) append(*aside_, bytes);
}

void Viewer::farewell(const ByteBuffer& bytes) {
  if (blocked_ || cursor_.inside_message()) return;
  aside(bytes);  // behind what else waits there
  static_cast<void>(::send(fd_, aside_->data(), aside_->size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

Clock::duration Viewer::stalled(Clock::time_point now) const {
  return blocked_ ? now - progress_ : Clock::duration::zero();
}

void Viewer::on_ready(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !receive()) {
    fanout_.end(*this);
    return;
  }
  if (blocked_ && (events & EPOLLOUT) != 0) {
    blocked_ = false;
    if (!flush(fanout_.view(format_))) fanout_.end(*this);
  }
}

bool Viewer::receive() {
  const auto scratch = fanout_.loop().scratch();
  while (true) {
    const ssize_t got = ::recv(fd_, scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) {
      why_ =
          got == 0 ? Error{Errc::Closed, "viewer left"} : Error{Errc::Reset, std::strerror(errno)};
      return false;
    }
    received_ += static_cast<std::size_t>(got);
    auto taken = take_in(scratch.first(static_cast<std::size_t>(got)));
    if (!taken) {
      why_ = taken.error();
      return false;
    }
  }
}

Result<void> Viewer::take_in(ByteView input) {
  if (frames_) return take_frames(input);
  while (reader_) {
    auto message = reader_->next(input);
    if (!message) return std::unexpected(message.error());
    if (!*message) break;
    auto obeyed = obey(**message);
    if (!obeyed) return obeyed;
  }
  return {};
}

Result<void> Viewer::take_frames(ByteView input) {
  while (true) {
    auto frame = frames_->next(input);
    ByteBuffer answer;
    if (!frame) {
      const bool too_big = frame.error().code == Errc::Limit;
      websocket::append_close(
          answer, too_big ? websocket::CloseCode::TooBig : websocket::CloseCode::ProtocolError);
      farewell(answer);
      return std::unexpected(frame.error());
    }
    if (!*frame) return {};
    switch ((*frame)->opcode) {
      case websocket::Opcode::Ping:
        websocket::append_frame(answer, websocket::Opcode::Pong, (*frame)->payload);
        aside(answer);
        break;
      case websocket::Opcode::Close:
        websocket::append_frame(answer, websocket::Opcode::Close, (*frame)->payload);
        farewell(answer);
        return fail(Errc::Closed, "viewer left");
      default: break;
    }
  }
}

Result<void> Viewer::obey(const rtmp::Message& message) {
  const ByteView payload = message.payload;
  if (message.header.type == rtmp::Type::UserControl && payload.size() >= 6 &&
      load_be16(payload.data()) == static_cast<std::uint32_t>(rtmp::Event::PingRequest)) {
    ByteBuffer pong;
    rtmp::append_user_control(pong, rtmp::Event::PingResponse, load_be32(payload.data() + 2));
    aside(pong);
  }
  if (!rtmp::is_command(message)) return {};
  auto values = rtmp::decode_command(message);
  if (!values) return std::unexpected(values.error());
  const std::string_view command = values->empty() ? std::string_view{} : values->front().text();
  if (command == "closeStream" || command == "deleteStream")
    return fail(Errc::Closed, "viewer left");
  if (command == "pause") {
    paused_ = values->size() > 3 && (*values)[3].boolean();
    const std::string_view code = paused_ ? "NetStream.Pause.Notify" : "NetStream.Unpause.Notify";
    aside(rtmp::status_message(message.header.stream_id, "status", code, ""));
  } else if (command == "seek") {
    aside(rtmp::status_message(message.header.stream_id, "error", "NetStream.Seek.Failed",
                               "This stream is live."));
  }
  return {};
}

}  // namespace weir
