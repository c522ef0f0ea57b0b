#include "common/bus_error.h"

#include <csignal>
#include <cstdlib>

namespace weir {

namespace detail {

thread_local sigjmp_buf* bus_error_exit = nullptr;

namespace {

void on_bus_error(int signal) {
  if (bus_error_exit != nullptr) siglongjmp(*bus_error_exit, 1);
  std::signal(signal, SIG_DFL);  // returning repeats the access, which is fatal then
}

}  // namespace

void install_bus_error_handler() {
  static const int installed = [] {
    struct sigaction action{};
    action.sa_handler = on_bus_error;
    action.sa_flags = SA_NODEFER;
    return ::sigaction(SIGBUS, &action, nullptr);
  }();
  static_cast<void>(installed);
}

}  // namespace detail

void leave_guarded_work() {
  if (detail::bus_error_exit == nullptr) std::abort();
  siglongjmp(*detail::bus_error_exit, 1);
}

}  // namespace weir
