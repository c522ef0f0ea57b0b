#include "common/io/broadcast.h"

#include <algorithm>

namespace weir {

Task<Result<void>> Broadcast::after(Ticket seen, Deadline deadline) {
  Wait wait(*Loop::current());
  auto woken = co_await after(seen, wait, deadline);
  co_return woken;
}

Task<Result<void>> Broadcast::after(Ticket seen, Wait& wait, Deadline deadline) {
  Loop& loop = *Loop::current();
  std::shared_ptr<Station> station;
  {
    const std::lock_guard lock(mutex_);
    if (announced_.load(std::memory_order_relaxed) != seen) co_return Result<void>{};
    const auto mine =
        std::ranges::find_if(stations_, [&](auto& one) { return &one->loop == &loop; });
    station =
        mine != stations_.end() ? *mine : stations_.emplace_back(std::make_shared<Station>(loop));
  }
  // The station is told in a later turn of this loop, or by this loop itself: not before this waits.
  station->waiting.push_back(&wait);
  auto woken = co_await wait.until(deadline);
  std::erase(station->waiting, &wait);
  co_return woken;
}

void Broadcast::announce() {
  std::vector<std::shared_ptr<Station>> stations;
  {
    const std::lock_guard lock(mutex_);
    announced_.fetch_add(1, std::memory_order_release);
    stations.swap(stations_);
  }
  for (auto& station : stations) {
    auto tell = [station] {
      for (Wait* wait : std::exchange(station->waiting, {}))
        if (wait->waiting()) station->loop.resume_soon(wait->take_ready());
    };
    if (&station->loop == Loop::current())
      tell();
    else
      station->loop.post(tell);
  }
}

}  // namespace weir
