// common/systemd.h
// What weir tells the service manager that started it: ready, reloading, going away, still alive.
//
// It is systemd's notification protocol, sd_notify(3): a line or two in a datagram to the socket
// that NOTIFY_SOCKET names. A library for that would be one more dependency of every build for
// forty lines. Without NOTIFY_SOCKET, in a terminal or a container, everything here does nothing.
//
// The watchdog (WatchdogSec=) is fed by who can ask the loops, and only while they answer: a loop
// that hangs takes the process down and systemd starts another.
//
// Threading: one thread's. Bounds: a datagram that nobody takes is given up after a second.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/config_sources.h"

namespace weir {

class Systemd {
 public:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;

  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; what is not meant for this process, or
  // makes no sense, counts as not there.
  explicit Systemd(const Variables& environment);
  ~Systemd();
  Systemd(const Systemd&) = delete;
  Systemd& operator=(const Systemd&) = delete;

  // `status` is a line for `systemctl status`.
  void ready(std::string_view status);
  // ready() follows, whether or not the new configuration was taken.
  void reloading();
  // The process that takes this one's place is the service from here on, and this one says nothing
  // more: the manager would log each word of it.
  void main_is(int pid);
  // `longest`: how long the end may take, however short TimeoutStopSec= is.
  void stopping(milliseconds longest);

  // How often keep_alive() wants to be called; nothing when there is no watchdog.
  std::optional<milliseconds> interval() const { return interval_; }
  // Feeds the watchdog if that is due and `well`, which may take as long as it is told, says yes.
  void keep_alive(const std::function<bool(milliseconds)>& well, Clock::time_point now);

 private:
  void send(const std::string& lines);

  int socket_ = -1;
  std::string address_;  // as the kernel wants it: a path, or a null byte and a name
  std::optional<milliseconds> interval_;
  Clock::time_point due_ = Clock::time_point::min();
};

}  // namespace weir
