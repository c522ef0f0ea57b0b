// test/bench/sockets.h
// The few socket calls of the bench tools. All sockets are non-blocking TCP on loopback.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "common/bytes.h"

namespace weir::bench {

[[noreturn]] inline void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline sockaddr_in loopback(std::uint32_t host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(host);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

inline int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(INADDR_LOOPBACK, port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (listen(fd, 4096) != 0) die("listen");
  return fd;
}

// From a source address of 127/8, with the port chosen at connect() so that ports do not run out;
// closing resets the connection and leaves no TIME_WAIT behind. -1 when the kernel refuses.
inline int connect_from(std::uint32_t source, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const linger reset{1, 0};
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in from = loopback(source, 0), to = loopback(INADDR_LOOPBACK, port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0 &&
      (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 || errno == EINPROGRESS))
    return fd;
  close(fd);
  return -1;
}

inline void watch(int poller, int operation, int fd, std::uint32_t events, void* owner) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = owner;
  if (epoll_ctl(poller, operation, fd, &event) != 0) die("epoll_ctl");
}

// Sends what the kernel takes now and keeps the rest. False: the connection is gone, or more than
// `limit` bytes wait.
class Outbox {
 public:
  bool send(int fd, ByteView bytes, std::size_t limit = 32U << 20) {
    if (waiting()) {
      append(backlog_, bytes);
      return backlog_.size() - sent_ <= limit;
    }
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    const std::size_t taken = n < 0 ? 0 : static_cast<std::size_t>(n);
    if (taken < bytes.size()) append(backlog_, bytes.subspan(taken));
    return true;
  }

  bool flush(int fd) {
    if (!waiting()) return true;
    const ssize_t n = ::send(fd, &backlog_[sent_], backlog_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    sent_ += static_cast<std::size_t>(n);
    if (sent_ == backlog_.size()) {
      backlog_ = {};
      sent_ = 0;
    }
    return true;
  }

  bool waiting() const { return sent_ < backlog_.size(); }

 private:
  ByteBuffer backlog_;
  std::size_t sent_ = 0;
};

}  // namespace weir::bench
