#include "proxy/access/publish_rate.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "proxy/access/access.h"

namespace weir {

namespace {
constexpr milliseconds kPeriod{1000};
}  // namespace

Clock::duration TooFast::look(std::uint64_t count, Clock::time_point now, std::uint64_t most) {
  const double seconds = std::chrono::duration<double>(now - counted_at_).count();
  kbps_ = static_cast<double>(count - counted_) * 8 / 1000 / std::max(seconds, 0.001);
  counted_ = count;
  counted_at_ = now;
  if (kbps_ <= static_cast<double>(most)) within_at_ = now;
  return now - within_at_;
}

PublishRate::PublishRate(Loop& loop, Count count, Exceeded exceeded)
    : loop_(loop),
      count_(std::move(count)),
      exceeded_(std::move(exceeded)),
      rate_(count_(), loop.now()) {
  const Access* access = Access::current();
  if (access != nullptr && access->options().publish_kbps > 0) loop_.arm(*this, loop_.in(kPeriod));
}

void PublishRate::expired() {
  Access* access = Access::current();
  if (access == nullptr || access->options().publish_kbps == 0) return;
  const AccessOptions& options = access->options();
  const auto too_fast = rate_.look(count_(), loop_.now(), options.publish_kbps);
  if (too_fast < options.publish_patience) return loop_.arm(*this, loop_.in(kPeriod));
  access->count_too_fast();
  exceeded_({Errc::Limit, fmt::format("publisher sends {:.0f} kbit/s, more than {}", rate_.kbps(),
                                      options.publish_kbps)});
}

}  // namespace weir
