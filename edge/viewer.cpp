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
      wire_(arrival.socket->release()),
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
           .asked = arrival.asked,
           .expires = grant_.expires()},
          [this] { return Traffic{.received = received_, .sent = sent_}; },
          [this] {
            why_ = *session_.ended();
            fanout_.end(*this);
          }) {
  // Without a bound of ours the kernel would hold megabytes for a viewer that has stopped reading.
  const int send_buffer = static_cast<int>(fanout.options().send_buffer);
  setsockopt(wire_.fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  if (wire_.transport)
    wire_.transport->watch(fanout_.loop(), *this);
  else
    fanout_.loop().add(wire_.fd, kTransportEvents, *this);
  if (!arrival.greeting.empty()) aside_ = std::make_unique<ByteBuffer>(std::move(arrival.greeting));
  // What is wrong with it shows again in what comes next.
  static_cast<void>(take_in(arrival.unread));
}

Viewer::~Viewer() {
  grant_.count({.received = received_, .sent = sent_});
  if (wire_.transport) {
    wire_.transport->unwatch(fanout_.loop(), *this);
    wire_.transport->close();
  } else {
    fanout_.loop().remove(wire_.fd, *this);
    ::close(wire_.fd);
  }
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
  auto written = write(pieces);
  if (!written) {
    why_ = std::move(written.error());
    return false;
  }
  std::size_t sent = *written;
  blocked_ = sent < wanted || clogged();  // epoll tells when there is room again
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

// How many bytes are under way; 0: no room now.
Result<std::size_t> Viewer::write(std::span<const iovec> pieces) {
  if (wire_.transport && !wire_.transport->writes_plainly()) [[unlikely]]
    return wire_.transport->write(pieces);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  const ssize_t sent = ::sendmsg(wire_.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN || errno == EINTR) return 0;
  return fail(errno == ETIMEDOUT ? Errc::Timeout : Errc::Reset, std::strerror(errno));
}

void Viewer::aside(const ByteBuffer& bytes) {
  if (!aside_) aside_ = std::make_unique<ByteBuffer>();
  if (aside_->size() + bytes.size() <= kMaxAside) append(*aside_, bytes);
}

void Viewer::farewell(const ByteBuffer& bytes) {
  if (blocked_ || cursor_.inside_message()) return;
  aside(bytes);  // behind what else waits there
  const iovec last{.iov_base = aside_->data(), .iov_len = aside_->size()};
  static_cast<void>(write({&last, 1}));
}

Clock::duration Viewer::stalled(Clock::time_point now) const {
  return blocked_ ? now - progress_ : Clock::duration::zero();
}

void Viewer::on_ready(std::uint32_t events) {
  // A transport may have had bytes before anybody watched.
  const bool may_read =
      (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 || wire_.transport;
  if (may_read && !receive()) {
    fanout_.end(*this);
    return;
  }
  if (blocked_ && (events & EPOLLOUT) != 0) {
    if (clogged()) {
      if (!wire_.transport->flush()) {
        why_ = {Errc::Reset, "connection lost"};
        fanout_.end(*this);
        return;
      }
      progress_ = fanout_.loop().now();
    }
    blocked_ = clogged();
    if (!flush(fanout_.view(format_))) fanout_.end(*this);
  }
}

// How many bytes came; 0: nothing now.
Result<std::size_t> Viewer::receive_into(std::span<std::uint8_t> into) {
  if (wire_.transport) return wire_.transport->read(into);
  ssize_t got = 0;
  do {
    got = ::recv(wire_.fd, into.data(), into.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return static_cast<std::size_t>(got);
  if (got == 0) return fail(Errc::Closed, "viewer left");
  if (errno == EAGAIN) return 0;
  return fail(Errc::Reset, std::strerror(errno));
}

bool Viewer::receive() {
  const auto scratch = fanout_.loop().scratch();
  while (true) {
    auto got = receive_into(scratch);
    if (got && *got == 0) return true;
    if (!got) {
      why_ = std::move(got.error());
      return false;
    }
    received_ += *got;
    auto taken = take_in(scratch.first(*got));
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
