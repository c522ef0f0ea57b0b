// common/bus_error.h
// Reading mapped memory whose file is cut short or whose disk fails is no error code but SIGBUS,
// which ends the process. Here it ends the piece of work instead.
//
// Leaving the work jumps over its frames without destructors, and leaves what it worked on in
// any state: it must hold nothing but plain values, and its subject is given up afterwards.
//
// Threading: any; a bus error outside of guarded work ends the process as ever.
#pragma once

#include <csetjmp>

namespace weir {

namespace detail {
extern thread_local sigjmp_buf* bus_error_exit;  // null outside of guarded work
void install_bus_error_handler();
}  // namespace detail

// Runs `work`; false when it was left half done. Not to be nested.
template <class Work>
[[gnu::noinline]] bool survives_bus_error(Work work) {
  detail::install_bus_error_handler();
  sigjmp_buf here;
  // Saves no signal mask, which would cost a system call; the handler blocks none.
  const bool left = sigsetjmp(here, 0) != 0;
  detail::bus_error_exit = left ? nullptr : &here;
  if (left) return false;
  work();
  detail::bus_error_exit = nullptr;
  return true;
}

// Ends the guarded work as a bus error would; ends the process when there is none.
[[noreturn]] void leave_guarded_work();

}  // namespace weir
