#include "common/io/socket.h"

#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weir {

namespace {

constexpr int kUserTimeoutMs = 10'000;  // unacknowledged data for so long: the peer is gone

Error broken(int error) {
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: return {Errc::Refused, std::strerror(error)};
    case ETIMEDOUT: return {Errc::Timeout, std::strerror(error)};
    case ECONNRESET:
    case EPIPE: return {Errc::Reset, std::strerror(error)};
    default: return {Errc::System, std::strerror(error)};
  }
}

void set_int(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

}  // namespace

void set_tcp_options(int fd) {
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

Socket::Socket(Loop& loop, int fd, const Address& peer)
    : loop_(loop), fd_(fd), peer_(peer), read_wait_(loop), write_wait_(loop) {
  watch();
}

Socket::Socket(Loop& loop, int fd, const Address& peer, std::unique_ptr<Transport> transport)
    : loop_(loop),
      fd_(fd),
      peer_(peer),
      transport_(std::move(transport)),
      read_wait_(loop),
      write_wait_(loop) {
  watch();
}

void Socket::watch() {
  if (transport_)
    transport_->watch(loop_, *this);
  else
    loop_.add(fd_, kTransportEvents, *this);
}

void Socket::unwatch() {
  if (transport_)
    transport_->unwatch(loop_, *this);
  else
    loop_.remove(fd_, *this);
}

void Socket::wrap(std::unique_ptr<Transport> transport) {
  INVARIANT(!transport_ && is_open() && !read_wait_.waiting() && !write_wait_.waiting());
  unwatch();
  transport_ = std::move(transport);
  watch();
  try_again();
}

Socket::~Socket() { close(); }

Task<Result<std::unique_ptr<Socket>>> Socket::connect(Loop& loop, Address to, Deadline deadline) {
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return std::unexpected(broken(errno));
  set_tcp_options(fd);
  auto socket = std::make_unique<Socket>(loop, fd, to);
  if (::connect(fd, to.raw(), to.length()) != 0) {
    if (errno != EINPROGRESS) co_return std::unexpected(broken(errno));
    socket->writable_ = false;
    auto connected = co_await socket->writable(deadline);
    if (!connected) co_return std::unexpected(connected.error());
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) co_return std::unexpected(broken(error));
  }
  co_return std::move(socket);
}

void Socket::on_ready(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    hung_up_ = true;
    if (gone_) gone_();
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    // An error of this shows again in the next write.
    if (transport_ && transport_->holds()) static_cast<void>(transport_->flush());
    writable_ = !transport_ || !transport_->holds();
  }
  // The first waiter to go on may destroy this socket; the second is told in the loop's next step.
  const bool wake_reader = readable_ && read_wait_.waiting();
  const bool wake_writer = writable_ && write_wait_.waiting();
  if (wake_reader && wake_writer) {
    loop_.resume_soon(read_wait_.take_ready());
    loop_.resume_soon(write_wait_.take_ready());
  } else if (wake_reader) {
    read_wait_.wake();
  } else if (wake_writer) {
    write_wait_.wake();
  }
}

Result<std::size_t> Socket::try_read(std::span<std::uint8_t> into) {
  if (fd_ < 0) return fail(Errc::Cancelled, "socket closed");
  if (!readable_) return 0;
  if (transport_) [[unlikely]] {
    auto read = transport_->read(into);
    if (read && *read == 0) readable_ = false;
    return read;
  }
  ssize_t got = 0;
  do {
    got = ::recv(fd_, into.data(), into.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return fail(Errc::Closed, "peer closed");
  if (got < 0) {
    if (errno != EAGAIN) return std::unexpected(broken(errno));
    readable_ = false;
    return 0;
  }
  // A short read has emptied the socket: epoll tells of what comes next, which spares a recv. Only
  // the peer's FIN, if it is in already, would not be told again.
  if (static_cast<std::size_t>(got) < into.size() && !hung_up_) readable_ = false;
  return static_cast<std::size_t>(got);
}

Result<std::size_t> Socket::try_write(std::span<const iovec> pieces) {
  if (fd_ < 0) return fail(Errc::Cancelled, "socket closed");
  if (!writable_) return 0;
  if (transport_ && !transport_->writes_plainly()) [[unlikely]] {
    auto written = transport_->write(pieces);
    if (written && transport_->holds()) writable_ = false;
    return written;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno != EAGAIN) return std::unexpected(broken(errno));
  writable_ = false;
  return 0;
}

Result<std::size_t> Socket::try_send_file(int file, std::uint64_t offset, std::size_t most) {
  if (fd_ < 0) return fail(Errc::Cancelled, "socket closed");
  if (!writable_) return 0;
  auto at = static_cast<off_t>(offset);
  if (transport_ && !transport_->writes_plainly()) {
    const auto piece = loop_.scratch().first(std::min(most, loop_.scratch().size()));
    const ssize_t got = ::pread(file, piece.data(), piece.size(), at);
    if (got < 0) return std::unexpected(broken(errno));
    if (got == 0) return fail(Errc::Closed, "file cut short");
    const iovec part{.iov_base = piece.data(), .iov_len = static_cast<std::size_t>(got)};
    return try_write({&part, 1});
  }
  ssize_t sent = 0;
  do {
    sent = ::sendfile(fd_, file, &at, most);
  } while (sent < 0 && errno == EINTR);
  if (sent == 0) return fail(Errc::Closed, "file cut short");
  if (sent > 0) return static_cast<std::size_t>(sent);
  if (errno != EAGAIN) return std::unexpected(broken(errno));
  writable_ = false;
  return 0;
}

Task<Result<std::size_t>> Socket::read(std::span<std::uint8_t> into, Deadline deadline) {
  while (true) {
    auto got = try_read(into);
    if (!got || *got > 0) co_return got;
    auto ready = co_await readable(deadline);
    if (!ready) co_return std::unexpected(ready.error());
  }
}

Task<Result<std::size_t>> Socket::peek(std::span<std::uint8_t> into, std::size_t seen,
                                       Deadline deadline) {
  if (seen >= into.size()) co_return fail(Errc::Limit, "too much to look at");
  while (fd_ >= 0) {
    const ssize_t got = ::recv(fd_, into.data(), into.size(), MSG_PEEK);
    if (got == 0) co_return fail(Errc::Closed, "peer closed");
    if (got < 0 && errno != EAGAIN && errno != EINTR) co_return std::unexpected(broken(errno));
    if (got > 0 && static_cast<std::size_t>(got) > seen) co_return static_cast<std::size_t>(got);
    // The end may be in already, behind bytes that were seen: no event would tell of it again.
    if (got > 0 && hung_up_) co_return fail(Errc::Closed, "peer closed");
    readable_ = false;
    auto ready = co_await readable(deadline);
    if (!ready) co_return std::unexpected(ready.error());
  }
  co_return fail(Errc::Cancelled, "socket closed");
}

Task<Result<void>> Socket::write(ByteView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const iovec piece{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    auto sent = try_write({&piece, 1});
    if (!sent) co_return std::unexpected(sent.error());
    bytes = bytes.subspan(*sent);
    if (bytes.empty() || *sent > 0) continue;
    auto ready = co_await writable(deadline);
    if (!ready) co_return ready;
  }
  co_return Result<void>{};
}

Socket::Watch Socket::when_gone(std::function<void()> call) {
  gone_ = std::move(call);
  if (hung_up_) gone_();
  return Watch(*this);
}

void Socket::shut_down_writes() {
  if (fd_ < 0) return;
  if (transport_)
    transport_->shut_down_writes();
  else
    ::shutdown(fd_, SHUT_WR);
}

Socket::Released Socket::release() {
  INVARIANT(!read_wait_.waiting() && !write_wait_.waiting());
  unwatch();
  return {std::exchange(fd_, -1), std::move(transport_)};
}

void Socket::close() {
  if (fd_ < 0) return;
  unwatch();
  const int fd = std::exchange(fd_, -1);
  if (!transport_) {
    ::close(fd);
  } else if (transport_->holds() && !loop_.cancelled()) {
    loop_.spawn(
        farewell(std::make_unique<Socket>(loop_, fd, peer_, std::exchange(transport_, nullptr))));
  } else {
    transport_->close();
    transport_.reset();
  }
  if (read_wait_.waiting()) loop_.resume_soon(read_wait_.take_cancelled());
  if (write_wait_.waiting()) loop_.resume_soon(write_wait_.take_cancelled());
}

// Until what was written is in the kernel.
Task<void> Socket::farewell(std::unique_ptr<Socket> socket) {
  const Deadline deadline = socket->loop_.in(kFarewell);
  socket->writable_ = false;
  while (socket->transport_->holds()) {
    auto ready = co_await socket->writable(deadline);
    if (!ready || !socket->transport_->flush()) break;
  }
  socket->unwatch();
  socket->fd_ = -1;
  socket->transport_->close();
}

}  // namespace weir
