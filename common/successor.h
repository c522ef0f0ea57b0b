// common/successor.h
// The old side of an upgrade: starts the program that stands on disk at the path of this one, gives it
// all that this process listens on, and says whether it stands on its feet. Until it does, nothing
// here has changed, and if it never does nothing will have.
//
// The sockets are shared, not opened anew beside: who waits in the kernel's queue of a socket is
// served by whichever process is there, and nobody is reset.
//
// Threading: main's thread; `done` and `state` are called by a thread of its own, which also talks.
// Bounds: one successor at a time; it is given up after `patience`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/handover_channel.h"
#include "common/port_opener.h"

namespace weir {

class Successor {
 public:
  struct Offer {
    Offer() = default;
    Offer(Offer&&) = default;
    ~Offer();

    std::size_t workers = 0;
    std::string node;
    OpenPorts ports;                 // not the offer's
    std::vector<int> passes;         // the offer's: by these the UDP ports are shared
    std::string secret;              // that both use
    std::vector<std::string> state;  // whatever the role wants to be known
  };
  // The process that is ready; why there is none.
  using Done = std::function<void(Result<int> pid)>;
  // What is to be told once a second, as long as both live.
  using State = std::function<std::vector<std::string>()>;

  // `arguments` as main() got them, the program's name first.
  explicit Successor(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  // Errors: Busy when one is under way, System when it cannot be started.
  Result<void> start(Offer offer, std::chrono::milliseconds patience, Done done);
  bool under_way() const { return under_way_; }
  // It is the main process, and goes on to be told. REQUIRES: `done` had a pid.
  void confirm(State state);

 private:
  Result<int> spawn(int channel) const;
  void converse(const Offer& offer, std::chrono::milliseconds patience, const Done& done);
  Result<void> offer_all(const Offer& offer);
  Result<void> await_ready(std::chrono::milliseconds patience);
  void end_child();

  const std::vector<std::string> arguments_;
  std::unique_ptr<HandoverChannel> channel_;
  int child_ = -1;
  std::atomic<bool> under_way_{false};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace weir
