#include "common/io/udp_socket.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/io/udp_control.h"

namespace weir {

namespace {

constexpr std::uint16_t kNone = 0xffff;
constexpr std::size_t kRunsPerCall = 64;
Result<int> failed(int fd, const std::string& what) {
  const std::string why = std::strerror(errno);
  const Errc code = errno == ECONNREFUSED || errno == ENETUNREACH || errno == EHOSTUNREACH
                        ? Errc::Refused
                        : Errc::System;
  if (fd >= 0) ::close(fd);
  return fail(code, what + ": " + why);
}

// Past net.core.rmem_max where we may (CAP_NET_ADMIN), up to it elsewhere.
void set_buffer(int fd, int force, int option, int size) {
  if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) != 0)
    setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size));
}

void set_udp_options(int fd, int buffer) {
  const int on = 1;
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, buffer);
  if (UdpOffload::probed().coalescing) setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
}

}  // namespace

Result<int> UdpSocket::open(const Address& at, Sharing sharing) {
  const std::string what = "cannot receive at " + at.text();
  const int fd = ::socket(at.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(fd, what);
  const int on = 1;
  const int off = 0;
  const bool v6 = at.family() == AF_INET6;
  if (sharing == Sharing::Port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (::bind(fd, at.raw(), at.length()) != 0) return failed(fd, what);
  set_udp_options(fd, kPortBuffer);
  if (v6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
  else
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
  return fd;
}

Result<int> UdpSocket::connect(const Address& to) {
  const std::string what = "cannot send to " + to.text();
  const int fd = ::socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(fd, what);
  if (::connect(fd, to.raw(), to.length()) != 0) return failed(fd, what);
  set_udp_options(fd, kBuffer);
  return fd;
}

UdpSocket::UdpSocket(UdpBuffers& buffers, int fd, UdpHandler& handler)
    : buffers_(buffers), handler_(handler), fd_(fd), v6_(local().family() == AF_INET6) {
  buffers_.pace_.add(fd_, EPOLLIN, *this);
}

UdpSocket::~UdpSocket() {
  *gone_ = true;
  buffers_.recent_.fill(kNone);  // another socket may get this one's place in memory
  std::erase(buffers_.waiting_, this);
  std::erase(buffers_.refused_, this);
  buffers_.pace_.remove(fd_, *this);
  ::close(fd_);
}

void UdpSocket::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) send_backlog();
  if (receives_ && (events & (EPOLLIN | EPOLLERR)) != 0) receive();
}

void UdpSocket::stop_receiving() {
  receives_ = false;
  buffers_.pace_.modify(fd_, backlog_.empty() ? 0U : std::uint32_t{EPOLLOUT}, *this);
}

void UdpSocket::receive() {
  buffers_.loop().at_turn_end(buffers_);
  const auto gone = gone_;
  for (int i = 0; i < kBatches; ++i)
    if (!receive_batch(*gone)) return;
  buffers_.pace_.expect_more();
}

// Whether there may be more, for a socket that is still there.
bool UdpSocket::receive_batch(const bool& gone) {
  std::array<mmsghdr, kBatch> messages;
  std::array<iovec, kBatch> slots;
  std::array<udp::Control, kBatch> controls;
  std::array<sockaddr_in6, kBatch> names;
  const std::size_t wanted = std::min(kBatch, buffers_.free_slots());
  for (std::size_t i = 0; i < wanted; ++i) {
    const auto slot = buffers_.slot(buffers_.used_slots_ + i);
    slots[i] = {.iov_base = slot.data(), .iov_len = slot.size()};
    messages[i] = {};
    messages[i].msg_hdr = {.msg_name = &names[i],
                           .msg_namelen = sizeof(names[i]),
                           .msg_iov = &slots[i],
                           .msg_iovlen = 1,
                           .msg_control = controls[i].bytes.data(),
                           .msg_controllen = udp::kControl,
                           .msg_flags = 0};
  }
  const int count = ::recvmmsg(fd_, messages.data(), static_cast<unsigned>(wanted), 0, nullptr);
  if (count < 0) {
    if (errno != ECONNREFUSED) return false;
    handler_.refused();
    return !gone;
  }
  const auto received = static_cast<std::size_t>(count);
  buffers_.used_slots_ += received;
  buffers_.pace_.count(received);
  for (std::size_t i = 0; i < received; ++i) {
    msghdr& message = messages[i].msg_hdr;
    const auto arrived = udp::read_control(message);
    const UdpPeer from{
        .address = Address::of(reinterpret_cast<sockaddr*>(&names[i]), message.msg_namelen),
        .local = arrived.local};
    std::span<std::uint8_t> left(static_cast<std::uint8_t*>(slots[i].iov_base),
                                 messages[i].msg_len);
    const std::size_t size = arrived.segment > 0 ? arrived.segment : left.size();
    while (!left.empty()) {
      const auto packet = left.first(std::min(size, left.size()));
      left = left.subspan(packet.size());
      handler_.received(from, packet);
      if (gone) return false;
    }
  }
  return received == wanted;
}

void UdpSocket::send(const UdpPeer& to, ByteView packet) {
  if (packet.empty() || packet.size() > UdpBuffers::kMaxRun) return;
  if (!backlog_.empty()) return queue(to, packet);
  if (buffers_.pieces_.size() == UdpBuffers::kMaxPieces) buffers_.flush();
  const ByteView bytes = buffers_.in_slots(packet.data()) ? packet : buffers_.keep(packet);
  buffers_.loop().at_turn_end(buffers_);
  if (extend_run(last_run_, to, bytes)) return;
  std::uint16_t* recent = to.address.port() != 0 ? &buffers_.recent_of(to) : nullptr;
  if (recent != nullptr && extend_run(*recent, to, bytes)) return;

  const auto piece = static_cast<std::uint16_t>(buffers_.pieces_.size());
  const auto run = static_cast<std::uint16_t>(buffers_.runs_.size());
  buffers_.pieces_.push_back(
      {.bytes = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}, .next = kNone});
  buffers_.runs_.push_back({.from = this,
                            .to = to,
                            .first_piece = piece,
                            .last_piece = piece,
                            .next = kNone,
                            .packets = 1,
                            .total = static_cast<std::uint32_t>(bytes.size()),
                            .segment = static_cast<std::uint16_t>(bytes.size()),
                            .closed = !segments_});
  if (first_run_ == kNone) {
    buffers_.waiting_.push_back(this);
    first_run_ = run;
  } else {
    buffers_.runs_[last_run_].next = run;
  }
  last_run_ = run;
  if (recent != nullptr) *recent = run;
}

bool UdpSocket::extend_run(std::uint16_t at, const UdpPeer& to, ByteView packet) {
  if (at == kNone) return false;
  UdpBuffers::Run& run = buffers_.runs_[at];
  const bool fits = run.from == this && !run.closed && packet.size() <= run.segment &&
                    run.packets < UdpBuffers::kMaxRunPackets &&
                    run.total + packet.size() <= UdpBuffers::kMaxRun;
  if (!fits || !same_address(run.to.address, to.address)) return false;
  if (std::memcmp(&run.to.local, &to.local, sizeof(to.local)) != 0) return false;
  auto& pieces = buffers_.pieces_;
  iovec& last = pieces[run.last_piece].bytes;
  if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == packet.data()) {
    last.iov_len += packet.size();
  } else {
    const auto piece = static_cast<std::uint16_t>(pieces.size());
    pieces.push_back(
        {.bytes = {const_cast<std::uint8_t*>(packet.data()), packet.size()}, .next = kNone});
    pieces[run.last_piece].next = piece;
    run.last_piece = piece;
  }
  ++run.packets;
  run.total += static_cast<std::uint32_t>(packet.size());
  run.closed = packet.size() < run.segment;
  return true;
}

void UdpSocket::flush() {
  std::uint16_t run = first_run_;
  if (run != kNone && send_alone(buffers_.runs_[run])) run = kNone;
  while (run != kNone)
    if (send_runs(run) == Sent::Blocked) break;
  if (run != kNone) keep_rest(run);
  first_run_ = last_run_ = kNone;
}

// As most sockets of one session do, a packet at a time: without what describes a batch.
bool UdpSocket::send_alone(const UdpBuffers::Run& run) const {
  const bool alone = run.next == kNone && run.packets == 1 && run.to.address.port() == 0;
  if (!alone) return false;
  const iovec& bytes = buffers_.pieces_[run.first_piece].bytes;
  return ::send(fd_, bytes.iov_base, bytes.iov_len, 0) >= 0;
}

// Sends from `run` on and moves it to the first that was not sent.
UdpSocket::Sent UdpSocket::send_runs(std::uint16_t& run) {
  std::array<mmsghdr, kRunsPerCall> messages;
  std::array<udp::Control, kRunsPerCall> controls;
  std::array<iovec, UdpBuffers::kMaxPieces> pieces;
  std::size_t used = 0;
  std::size_t count = 0;
  for (std::uint16_t at = run; at != kNone && count < kRunsPerCall; ++count) {
    const UdpBuffers::Run& each = buffers_.runs_[at];
    msghdr& message = messages[count].msg_hdr;
    messages[count].msg_len = 0;
    udp::address_message(message, each.to);
    message.msg_iov = &pieces[used];
    for (std::uint16_t piece = each.first_piece; piece != kNone;
         piece = buffers_.pieces_[piece].next)
      pieces[used++] = buffers_.pieces_[piece].bytes;
    message.msg_iovlen = static_cast<std::size_t>(&pieces[0] + used - message.msg_iov);
    udp::ControlWriter control(message, controls[count]);
    control.add_local(each.to.local, v6_);
    if (each.packets > 1) control.add(SOL_UDP, UDP_SEGMENT, each.segment);
    at = each.next;
  }
  const int sent = ::sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), 0);
  if (sent < 0) return recover(run, errno) ? Sent::Done : Sent::Blocked;
  for (int i = 0; i < sent; ++i) run = buffers_.runs_[run].next;
  return Sent::Done;
}

// Whether sending may go on, behind the run that failed.
bool UdpSocket::recover(std::uint16_t& run, int error) {
  if (error == EINTR) return true;
  if (error == EAGAIN || error == ENOBUFS) return false;
  const UdpBuffers::Run& failing = buffers_.runs_[run];
  if (error == ECONNREFUSED) {
    const bool known = std::ranges::find(buffers_.refused_, this) != buffers_.refused_.end();
    if (!known) buffers_.refused_.push_back(this);
    dropped_ += failing.packets;
  } else if (failing.packets > 1) {
    // A device that cannot checksum cannot cut runs either.
    if (error == EIO || error == EINVAL) segments_ = false;
    send_singly(run);
  } else {
    ++dropped_;
  }
  run = failing.next;
  return true;
}

template <class Use>
void UdpSocket::for_each_packet(const UdpBuffers::Run& run, Use use) const {
  for (std::uint16_t at = run.first_piece; at != kNone; at = buffers_.pieces_[at].next) {
    const iovec& piece = buffers_.pieces_[at].bytes;
    ByteView left(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len);
    while (!left.empty()) {
      const ByteView packet = left.first(std::min<std::size_t>(run.segment, left.size()));
      left = left.subspan(packet.size());
      use(packet);
    }
  }
}

void UdpSocket::send_singly(std::uint16_t run) {
  const UdpBuffers::Run& all = buffers_.runs_[run];
  for_each_packet(all, [&](ByteView packet) {
    int error = 0;
    if (!transmit(all.to, packet, error)) ++dropped_;
  });
}

bool UdpSocket::transmit(const UdpPeer& to, ByteView packet, int& error) const {
  msghdr message;
  udp::Control control;
  iovec bytes{const_cast<std::uint8_t*>(packet.data()), packet.size()};
  udp::address_message(message, to);
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  udp::ControlWriter(message, control).add_local(to.local, v6_);
  const bool sent = ::sendmsg(fd_, &message, 0) >= 0;
  error = sent ? 0 : errno;
  return sent;
}

void UdpSocket::keep_rest(std::uint16_t run) {
  for (; run != kNone; run = buffers_.runs_[run].next) {
    const UdpBuffers::Run& all = buffers_.runs_[run];
    for_each_packet(all, [&](ByteView packet) { queue(all.to, packet); });
  }
}

void UdpSocket::queue(const UdpPeer& to, ByteView packet) {
  if (backlog_bytes_ + packet.size() > kMaxBacklog) {
    ++dropped_;
    return;
  }
  if (backlog_.empty()) buffers_.pace_.modify(fd_, interest() | EPOLLOUT, *this);
  backlog_.push_back({.to = to, .packet = ByteBuffer(packet.begin(), packet.end())});
  backlog_bytes_ += packet.size();
}

void UdpSocket::send_backlog() {
  while (!backlog_.empty()) {
    const Kept& next = backlog_.front();
    int error = 0;
    const bool sent = transmit(next.to, next.packet, error);
    if (!sent && (error == EAGAIN || error == ENOBUFS)) return;
    if (!sent) ++dropped_;
    backlog_bytes_ -= next.packet.size();
    backlog_.pop_front();
  }
  buffers_.pace_.modify(fd_, interest(), *this);
}

void UdpSocket::report_refused() { handler_.refused(); }

}  // namespace weir
