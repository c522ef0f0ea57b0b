#include "common/io/udp_pace.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/check.h"

namespace weir {

using std::chrono::microseconds;

UdpPace::UdpPace(Loop& loop)
    : loop_(loop),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      timer_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      period_start_(loop.now()) {
  INVARIANT(epoll_fd_ >= 0 && timer_fd_ >= 0, std::strerror(errno));
  loop_.add(epoll_fd_, EPOLLIN, *this);
  loop_.add(timer_fd_, EPOLLIN, *this);
}

UdpPace::~UdpPace() {
  loop_.remove(timer_fd_, *this);
  loop_.remove(epoll_fd_, *this);
  ::close(timer_fd_);
  ::close(epoll_fd_);
}

void UdpPace::add(int fd, std::uint32_t events, Watcher& watcher) {
  control(EPOLL_CTL_ADD, fd, events, watcher);
}

void UdpPace::modify(int fd, std::uint32_t events, Watcher& watcher) {
  control(EPOLL_CTL_MOD, fd, events, watcher);
}

void UdpPace::control(int operation, int fd, std::uint32_t events, Watcher& watcher) const {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  INVARIANT(epoll_ctl(epoll_fd_, operation, fd, &event) == 0, fd, std::strerror(errno));
}

void UdpPace::remove(int fd, Watcher& watcher) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  for (auto& event : ready_)
    if (event.data.ptr == &watcher) event.data.ptr = nullptr;
}

void UdpPace::on_ready(std::uint32_t) {
  std::uint64_t expirations = 0;
  // The kernel starts the next period when this one has been read.
  if (window_.count() > 0) static_cast<void>(::read(timer_fd_, &expirations, sizeof(expirations)));
  std::array<epoll_event, kMaxEvents> events;
  const int count = epoll_wait(epoll_fd_, events.data(), kMaxEvents, 0);
  ready_ = {events.data(), static_cast<std::size_t>(std::max(count, 0))};
  while (!ready_.empty()) {
    const epoll_event event = ready_.front();
    ready_ = ready_.subspan(1);
    auto* watcher = static_cast<Watcher*>(event.data.ptr);
    if (watcher != nullptr) watcher->on_ready(event.events);
  }
  measure();
  if (std::exchange(more_, false) && window_.count() > 0) set_timer(std::chrono::nanoseconds(1));
}

void UdpPace::measure() {
  const auto elapsed = loop_.now() - period_start_;
  if (elapsed < kPeriod) return;
  const double seconds = std::chrono::duration<double>(elapsed).count();
  rate_ = (rate_ + static_cast<double>(packets_) / seconds) / 2;
  packets_ = 0;
  period_start_ = loop_.now();
  use(window_at(rate_));
}

microseconds UdpPace::window_at(double packets_per_second) {
  if (packets_per_second <= kCalm) return microseconds(0);
  const auto widest = static_cast<double>(kMaxWindow.count());
  const double ramp = widest * (packets_per_second - kCalm) / kRamp;
  const double batch = 1e6 * kFullBatch / packets_per_second;
  const auto window = microseconds(std::lround(std::min({ramp, batch, widest})));
  return std::max(window, kMinWindow);
}

void UdpPace::use(microseconds window) {
  // A change by less than an eighth is not worth telling the kernel.
  if (window.count() > 0 && std::abs((window - window_).count()) * 8 < window_.count()) return;
  if (window == window_) return;
  if ((window.count() == 0) != (window_.count() == 0))
    loop_.modify(epoll_fd_, window.count() == 0 ? std::uint32_t{EPOLLIN} : 0U, *this);
  window_ = window;
  set_timer(window);
}

void UdpPace::set_timer(Clock::duration first) const {
  const auto timer_of = [](Clock::duration time) {
    return timespec{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(time).count()};
  };
  const itimerspec timer{.it_interval = timer_of(window_), .it_value = timer_of(first)};
  INVARIANT(timerfd_settime(timer_fd_, 0, &timer, nullptr) == 0, std::strerror(errno));
}

}  // namespace weir
