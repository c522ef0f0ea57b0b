// common/io/udp_pace.h
// When a loop looks at its UDP sockets: as soon as something has come, while little comes; by the clock
// while much comes, so that a turn takes a batch and not one packet of it.
//
//     packets/s    kCalm        + kRamp                                  window = kFullBatch / rate
//     ──────────────┼──────────────┼──────────────────────────────────────────┼───────────►
//     at once       window widens  kMaxWindow                                 narrower again
//
// Packets of many senders arrive a few microseconds apart. A loop that is woken for each pays for a
// wake, a look and two system calls a packet, and has nothing to join (UDP GSO). Waiting costs at most
// kMaxWindow, which no jitter buffer notices. The kernel's queue keeps what comes meanwhile, and may be
// short: so a window is over when a full batch should be there.
//
// The sockets sit in an epoll of their own. At once: that epoll is watched by the loop. By the clock:
// it is not, and a periodic timer has it looked at. So a packet costs no system call that a batch does
// not, and other sockets of the loop are as prompt as ever.
//
// Threading: one loop's. Bounds: kMaxEvents sockets a turn; those left over come first in the next.
#pragma once

#include "common/io/loop.h"

namespace weir {

class UdpPace final : private Watcher {
 public:
  static constexpr int kMaxEvents = 256;
  static constexpr double kCalm = 4'000;  // packets/s
  static constexpr double kRamp = 16'000;
  static constexpr double kFullBatch = 64;
  static constexpr std::chrono::microseconds kMaxWindow{2000};
  static constexpr std::chrono::microseconds kMinWindow{100};
  static constexpr milliseconds kPeriod{50};  // of measuring

  explicit UdpPace(Loop& loop);
  ~UdpPace();
  UdpPace(const UdpPace&) = delete;
  UdpPace& operator=(const UdpPace&) = delete;

  void add(int fd, std::uint32_t events, Watcher& watcher);
  void modify(int fd, std::uint32_t events, Watcher& watcher);
  void remove(int fd, Watcher& watcher);

  // A socket has more than it may take in one turn: the next look is not to wait.
  void expect_more() { more_ = true; }
  // So many packets, or joined runs of them, have come.
  void count(std::size_t packets) { packets_ += packets; }
  // For how long packets wait for company; zero: not at all.
  std::chrono::microseconds window() const { return window_; }
  // What that is to be at a rate.
  static std::chrono::microseconds window_at(double packets_per_second);

 private:
  void on_ready(std::uint32_t events) override;
  void control(int operation, int fd, std::uint32_t events, Watcher& watcher) const;
  void measure();
  void use(std::chrono::microseconds window);
  void set_timer(Clock::duration first) const;

  Loop& loop_;
  int epoll_fd_;
  int timer_fd_;
  std::span<epoll_event> ready_;  // what of this look is still to be told
  std::chrono::microseconds window_{0};
  Clock::time_point period_start_;
  std::size_t packets_ = 0;  // in this period
  bool more_ = false;
  double rate_ = 0;  // packets/s: half of it is the last period's
};

}  // namespace weir
