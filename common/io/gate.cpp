#include "common/io/gate.h"

#include <algorithm>

namespace weir {

Task<Result<void>> Gate::wait(Deadline deadline) {
  Wait wait(loop_);
  waiting_.push_back(&wait);
  auto woken = co_await wait.until(deadline);
  // notify() has taken this wait off already; and the gate itself may be gone by then.
  if (!woken) std::erase(waiting_, &wait);
  co_return woken;
}

void Gate::notify() {
  for (Wait* wait : std::exchange(waiting_, {})) loop_.resume_soon(wait->take_ready());
}

}  // namespace weir
