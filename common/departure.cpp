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

sigset_t operators_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

sigset_t all_signals() {
  sigset_t signals = operators_signals();
  sigaddset(&signals, asked_signal());
  return signals;
}

}  // namespace

const char* name(Departure::Reason reason) {
  switch (reason) {
    case Departure::Reason::Terminate: return "SIGTERM";
    case Departure::Reason::Interrupt: return "SIGINT";
    case Departure::Reason::Asked: return "control API";
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

void Departure::on(int signal, std::function<void()> work) {
  on_signal_[signal] = std::move(work);
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Departure::Reason Departure::wait() {
  sigset_t signals = all_signals();
  for (const auto& [each, work] : on_signal_) sigaddset(&signals, each);
  int signal = 0;
  while (true) {
    signal = next_signal(signals, Clock::time_point::max());
    const auto found = on_signal_.find(signal);
    if (found == on_signal_.end()) break;
    found->second();
  }
  leaving_ = true;
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
