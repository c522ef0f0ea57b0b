#include "common/departure.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

constexpr std::chrono::milliseconds kLook{50};

// Wakes wait() for ask(); not one that anybody sends from outside.
int asked_signal() { return SIGRTMIN; }
// The same for post().
int posted_signal() { return SIGRTMIN + 1; }

sigset_t operators_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

sigset_t all_signals() {
  sigset_t signals = operators_signals();
  sigaddset(&signals, asked_signal());
  sigaddset(&signals, posted_signal());
  return signals;
}

}  // namespace

const char* name(Departure::Reason reason) {
  switch (reason) {
    case Departure::Reason::Terminate: return "SIGTERM";
    case Departure::Reason::Interrupt: return "SIGINT";
    case Departure::Reason::Asked: return "control API";
    case Departure::Reason::Upgraded: return "upgrade";
  }
  return "unknown";
}

Departure::Departure() {
  const sigset_t signals = all_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void Departure::meanwhile(std::chrono::milliseconds every, std::function<void()> work) {
  period_ = every;
  work_ = std::move(work);
}

void Departure::on(int signal, std::function<void()> work) {
  on_signal_[signal] = std::move(work);
  const sigset_t signals = awaited();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

bool Departure::post(std::function<void()> work) {
  if (leaving_) return false;
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  ::kill(::getpid(), posted_signal());
  return true;
}

sigset_t Departure::awaited() const {
  sigset_t signals = all_signals();
  for (const auto& [signal, work] : on_signal_) sigaddset(&signals, signal);
  return signals;
}

void Departure::do_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

int Departure::next_signal(const sigset_t& signals, Clock::time_point until) {
  while (true) {
    if (work_) work_();
    const auto left = until - Clock::now();
    if (left <= Clock::duration::zero()) return 0;
    const auto pause = std::min<std::chrono::nanoseconds>(left, period_);
    const timespec look{.tv_sec = pause.count() / std::nano::den,
                        .tv_nsec = pause.count() % std::nano::den};
    if (const int signal = ::sigtimedwait(&signals, nullptr, &look); signal > 0) return signal;
  }
}

Departure::Reason Departure::wait() {
  const sigset_t signals = awaited();
  int signal = 0;
  while (!upgraded_ && signal != SIGTERM && signal != SIGINT && signal != asked_signal()) {
    signal = next_signal(signals, Clock::time_point::max());
    if (signal == posted_signal()) do_posted();
    if (const auto found = on_signal_.find(signal); found != on_signal_.end() && found->second)
      found->second();
  }
  leaving_ = true;
  if (upgraded_) return Reason::Upgraded;
  if (signal == SIGTERM) return Reason::Terminate;
  return signal == SIGINT ? Reason::Interrupt : Reason::Asked;
}

void Departure::ask() {
  if (!leaving_.exchange(true)) ::kill(::getpid(), asked_signal());
}

bool Departure::linger(std::chrono::milliseconds most, const std::function<bool()>& over) {
  const auto deadline = Clock::now() + most;
  const sigset_t signals = operators_signals();
  while (!over() && Clock::now() < deadline)
    if (next_signal(signals, std::min(deadline, Clock::now() + kLook)) > 0) return false;
  return true;
}

}  // namespace weir
