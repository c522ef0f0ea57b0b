// test/support/loop_fixture.h
// A loop for one test: runs a coroutine to its end on the test's own thread.
#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>

#include "common/check.h"
#include "common/io/socket.h"

namespace weir::test {

// Runs `task` on `loop` until it ends. The loop can be used again afterwards only for what needs no run().
inline void run(Loop& loop, Task<void> task) {
  auto then_stop = [](Loop& on, Task<void> inner) -> Task<void> {
    co_await inner;
    on.stop();
  };
  loop.post([&] { loop.spawn(then_stop(loop, std::move(task))); });
  loop.run();
}

// Two connected sockets on one loop.
inline std::array<std::unique_ptr<Socket>, 2> socket_pair(Loop& loop) {
  std::array<int, 2> fds{};
  INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
  return {std::make_unique<Socket>(loop, fds[0], Address{}),
          std::make_unique<Socket>(loop, fds[1], Address{})};
}

}  // namespace weir::test
