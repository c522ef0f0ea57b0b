#include "common/tally.h"

#include <algorithm>
#include <limits>

namespace weir {

Distribution::Distribution(std::span<const double> bounds)
    : bounds_(bounds), counts_(new std::atomic<std::uint64_t>[bounds.size() + 1]()) {}

void Distribution::add(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  auto& count = counts_[static_cast<std::size_t>(bucket)];
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

void Distribution::add_to(prometheus::ClientMetric::Histogram& sum) const {
  sum.bucket.resize(bounds_.size() + 1);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i <= bounds_.size(); ++i) {
    below += counts_[i].load(std::memory_order_relaxed);
    sum.bucket[i].upper_bound =
        i < bounds_.size() ? bounds_[i] : std::numeric_limits<double>::infinity();
    sum.bucket[i].cumulative_count += below;
  }
  sum.sample_count += below;
  sum.sample_sum += sum_.load(std::memory_order_relaxed);
}

}  // namespace weir
