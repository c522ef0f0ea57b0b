// common/handover_channel.h
// Between a process and the one that takes its place: short messages over a socket pair, some of them
// with descriptors. What is said, in this order:
//
//     old ─► new   workers N │ node ID │ port NAME, with its sockets │ pass N, with its socket │
//                  secret BYTES │ state ... │ begin
//     new ─► old   ready     or: failed WHY
//     old ─► new   main            the service manager knows
//                  state ...       what its sessions hold, until it ends
//
// Both are the same program, though not the same version of it: who does not know a message skips it.
//
// Threading: one thread reads and one writes. Bounds: kMaxMessage, kMaxDescriptors of a message.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"

namespace weir {

class HandoverChannel {
 public:
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxDescriptors = 64;

  struct Message {
    std::string verb;
    std::string text;
    std::vector<int> descriptors;  // the receiver's to close
  };

  // Both ends, closed by an exec(). Errors: System.
  static Result<std::pair<HandoverChannel, HandoverChannel>> make();
  // Takes over a descriptor.
  explicit HandoverChannel(int fd) : fd_(fd) {}
  HandoverChannel(HandoverChannel&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  HandoverChannel& operator=(HandoverChannel&&) = delete;
  ~HandoverChannel();

  int fd() const { return fd_; }
  // Waits for room. Errors: Closed when the other side has gone, System.
  Result<void> send(const std::string& verb, const std::string& text = {},
                    const std::vector<int>& descriptors = {});
  // Errors: Timeout, Closed, System.
  Result<Message> receive(std::chrono::milliseconds patience);
  // Whoever waits in receive() is told Closed.
  void shut();

 private:
  int fd_;
};

}  // namespace weir
