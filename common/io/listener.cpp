#include "common/io/listener.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir {

namespace {
constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 128;  // leaves room in a turn for those who are connected already
}  // namespace

Result<int> Listener::open(const Address& at, Sharing sharing) {
  auto failed = [&](int fd) {
    const std::string why = std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return fail(Errc::System, "cannot listen on " + at.text() + ": " + why);
  };
  const int fd = ::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(fd);
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (sharing == Sharing::Port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  if (at.family() == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (::bind(fd, at.raw(), at.length()) != 0) return failed(fd);
  if (::listen(fd, kBacklog) != 0) return failed(fd);
  return fd;
}

Listener::Listener(Loop& loop, int fd, Accepted accepted)
    : loop_(loop), fd_(fd), accepted_(std::move(accepted)) {
  loop_.add(fd_, EPOLLIN, *this);
}

Listener::~Listener() {
  loop_.remove(fd_, *this);
  ::close(fd_);
}

std::uint16_t Listener::port() const { return Address::of_socket(fd_).port(); }

void Listener::on_ready(std::uint32_t) { accept(kAcceptsPerTurn); }

void Listener::take_waiting() { accept(kBacklog); }

void Listener::accept(int most) {
  for (int i = 0; i < most; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    auto* raw = reinterpret_cast<sockaddr*>(&from);
    const int fd = ::accept4(fd_, raw, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      set_tcp_options(fd);
      accepted_(std::make_unique<Socket>(loop_, fd, Address::of(raw, length)));
      continue;
    }
    if (errno == EAGAIN) return;
    // accept(2): errors of the new connection itself are to be treated like EAGAIN.
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;
    ++pauses_;
    loop_.modify(fd_, 0, *this);
    loop_.arm(*this, loop_.in(kPause));
    return;
  }
}

void Listener::expired() { loop_.modify(fd_, EPOLLIN, *this); }

}  // namespace weir
