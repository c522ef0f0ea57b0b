// common/signals_blocked.h
// A thread that is born while this lives takes no signal: they are for main's thread.
//
// Threading: made and destroyed by one thread.
#pragma once

#include <pthread.h>

#include <csignal>

namespace weir {

class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace weir
