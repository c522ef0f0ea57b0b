// common/io/listener.h
// A listening TCP socket of one loop. Every loop has its own on the same port
// (SO_REUSEPORT), so the kernel spreads connections over the cores and no accepted connection ever
// changes its loop.
//
// When descriptors run out, accepting pauses for kPause and tries again: those who wait stay in the
// kernel's queue and running sessions notice nothing.
#pragma once

#include <functional>

#include "common/io/socket.h"

namespace weir {

class Listener final : private Watcher, private Timer {
 public:
  using Accepted = std::function<void(std::unique_ptr<Socket>)>;
  static constexpr milliseconds kPause{100};

  // Binds and listens; for an IPv6 wildcard address on IPv4 too. Errors: System, with the address
  // in the text.
  enum class Sharing { Port, Alone };  // among the loops; or nobody else may have the port
  static Result<int> open(const Address& at, Sharing sharing = Sharing::Port);

  // Takes over the descriptor of open(). REQUIRES: made on the loop's thread.
  Listener(Loop& loop, int fd, Accepted accepted);
  ~Listener();

  std::uint16_t port() const;
  // Takes all who wait in the kernel's queue now: closing it would reset them. Before the end.
  void take_waiting();
  // How often accepting had to pause for want of descriptors.
  std::uint64_t pauses() const { return pauses_; }

 private:
  void on_ready(std::uint32_t events) override;
  void expired() override;
  void accept(int most);

  Loop& loop_;
  int fd_;
  Accepted accepted_;
  std::uint64_t pauses_ = 0;
};

}  // namespace weir
