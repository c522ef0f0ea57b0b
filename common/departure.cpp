#include "common/departure.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>

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

Departure::Reason Departure::wait() {
  const sigset_t signals = all_signals();
  int signal = 0;
  sigwait(&signals, &signal);
  leaving_ = true;
  if (signal == SIGTERM) return Reason::Terminate;
  return signal == SIGINT ? Reason::Interrupt : Reason::Asked;
}

void Departure::ask() {
  if (!leaving_.exchange(true)) ::kill(::getpid(), asked_signal());
}

bool Departure::linger(std::chrono::milliseconds most, const std::function<bool()>& over) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  const sigset_t signals = operators_signals();
  const timespec look{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kLook).count()};
  while (!over() && std::chrono::steady_clock::now() < deadline)
    if (::sigtimedwait(&signals, nullptr, &look) > 0) return false;
  return true;
}

}  // namespace weir
