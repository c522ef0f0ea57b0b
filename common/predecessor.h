// common/predecessor.h
// The new side of an upgrade: what the process before this one hands over, and its end.
//
// Threading: main's thread; `told` and `gone` of follow() are called by a thread of its own.
// Bounds: what the process before had.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/config_sources.h"
#include "common/handover_channel.h"
#include "common/port_opener.h"

namespace weir {

class Predecessor {
 public:
  static constexpr const char* kVariable = "WEIR_HANDOVER";
  static constexpr int kDescriptor = 3;

  // Null when nobody was there before. Throws ConfigError when what it says cannot be understood.
  static std::unique_ptr<Predecessor> find(const Variables& environment);
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  std::size_t workers() const { return workers_; }
  const std::string& node() const { return node_; }
  // Whoever asks takes them over.
  OpenPorts take_ports() { return std::exchange(ports_, {}); }
  // One for each loop; whoever asks takes them over.
  std::vector<int> take_passes() { return std::exchange(passes_, {}); }
  const std::string& secret() const { return secret_; }
  const std::vector<std::string>& state() const { return state_; }

  // This process does not get on its feet.
  void failed(const std::string& why);
  // It does: the one before stops accepting. Returns when the service manager knows, or that one has
  // gone.
  void ready();
  // From here on: what its sessions hold, and its end.
  void follow(std::function<void(const std::string& state)> told, std::function<void()> gone);
  // Nothing is heard any more.
  void leave();
  bool present() const { return present_; }

 private:
  explicit Predecessor(int fd) : channel_(fd) {}
  void take_offer();

  HandoverChannel channel_;
  std::size_t workers_ = 0;
  std::string node_;
  OpenPorts ports_;
  std::vector<int> passes_;
  std::string secret_;
  std::vector<std::string> state_;
  std::atomic<bool> present_{true};
  std::thread thread_;
};

}  // namespace weir
