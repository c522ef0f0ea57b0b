// proxy/machine.h
// What this process and its machine are doing, as /proc tells.
//
// Shares of processor time are those since the last look that was kLook ago or more; before the
// second one, since the process and the machine began.
//
// Threading: any thread. Bounds: reads a few small files for each call.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace weir {

struct MachineState {
  struct Process {
    int pid = 0;
    int ppid = 0;
    std::string command;
    std::string directory;
    std::uint64_t memory_kb = 0;
    double cpu = 0;  // 1 is a whole core
    double uptime_s = 0;
  } process;
  double cpu = 0;  // of all cores together, 0 to 1
  int cores = 0;
  std::uint64_t memory_kb = 0;
  std::uint64_t memory_available_kb = 0;
  std::uint64_t swap_kb = 0;
  std::uint64_t swap_free_kb = 0;
  double uptime_s = 0;
  double idle_s = 0;  // of all cores together
  double load[3] = {};
  std::uint64_t received_bytes = 0;  // by every network device but the loopback
  std::uint64_t sent_bytes = 0;
  std::uint64_t tcp_sockets = 0;
  std::uint64_t tcp_waiting = 0;  // TIME_WAIT
  std::uint64_t udp_sockets = 0;
};

class Machine {
 public:
  static constexpr std::chrono::seconds kLook{3};

  MachineState look();

 private:
  struct Times {
    std::chrono::steady_clock::time_point at{};
    double process = 0;  // seconds
    double busy = 0;     // clock ticks of all cores
    double all = 0;
  };

  std::mutex mutex_;
  Times last_;
  Times before_;
};

}  // namespace weir
