// test/support/loopback.h
// Real connections over 127.0.0.1 within one loop, and an orderly end of all that a test has started.
#pragma once

#include <unistd.h>

#include <chrono>

#include "common/io/listener.h"
#include "test/support/loop_fixture.h"

namespace weir::test {

// What a test waits at most for anything that should happen at once.
inline constexpr std::chrono::seconds kPatience{10};

// Listens on a port that the kernel chooses.
inline std::unique_ptr<Listener> listen_on(Loop& loop, Listener::Accepted accepted) {
  auto fd = Listener::open(*Address::parse("127.0.0.1", 0));
  INVARIANT(fd);
  return std::make_unique<Listener>(loop, *fd, std::move(accepted));
}

inline Task<std::unique_ptr<Socket>> dial(Loop& loop, std::uint16_t port) {
  const auto to = *Address::parse("127.0.0.1", port);
  auto socket = co_await Socket::connect(loop, to, loop.in(kPatience));
  INVARIANT(socket, port);
  co_return std::move(*socket);
}

// Small kernel buffers, so that a reader who pauses is felt at once.
inline void keep_buffers_small(Socket& socket, int bytes = 16 * 1024) {
  for (const int option : {SO_SNDBUF, SO_RCVBUF})
    INVARIANT(::setsockopt(socket.fd(), SOL_SOCKET, option, &bytes, sizeof(bytes)) == 0);
}

// Lets one turn of the loop pass, even after cancel_all().
struct Turn {
  Loop& loop;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    loop.post([waiter] { waiter.resume(); });
  }
  void await_resume() const {}
};

// Looks once a turn until `condition` holds; false when it has not come to hold in time.
template <class Condition>
Task<bool> comes_true(Loop& loop, Condition condition, milliseconds patience = kPatience) {
  const auto deadline = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() >= deadline) co_return false;
    co_await Turn{loop};
  }
  co_return true;
}

// Ends all other tasks of the loop, so that what they use may go. The caller is the one left.
inline Task<void> end_all_others(Loop& loop) {
  loop.cancel_all();
  while (loop.spawned() > 1) co_await Turn{loop};
  co_await Turn{loop};
}

// A port that refuses: bound, but nobody listens.
class RefusingPort {
 public:
  RefusingPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto at = *Address::parse("127.0.0.1", 0);
    INVARIANT(::bind(fd_, at.raw(), at.length()) == 0);
  }
  ~RefusingPort() { ::close(fd_); }
  RefusingPort(const RefusingPort&) = delete;
  RefusingPort& operator=(const RefusingPort&) = delete;
  std::uint16_t port() const { return Address::of_socket(fd_).port(); }

 private:
  int fd_;
};

}  // namespace weir::test
