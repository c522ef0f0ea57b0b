#include "proxy/access/publish_rate.h"

#include <spdlog/fmt/fmt.h>

#include "proxy/access/access.h"

namespace weir {

namespace {
constexpr milliseconds kPeriod{1000};
}  // namespace

PublishRate::PublishRate(Loop& loop, Count count, Exceeded exceeded)
    : loop_(loop),
      count_(std::move(count)),
      exceeded_(std::move(exceeded)),
      counted_at_(loop.now()),
      within_at_(loop.now()) {
  const Access* access = Access::current();
  if (access != nullptr && access->options().publish_kbps > 0) loop_.arm(*this, loop_.in(kPeriod));
}

void PublishRate::expired() {
  const std::uint64_t count = count_();
  const auto now = loop_.now();
  const double seconds = std::chrono::duration<double>(now - counted_at_).count();
  const double kbps = static_cast<double>(count - counted_) * 8 / 1000 / std::max(seconds, 0.001);
  counted_ = count;
  counted_at_ = now;
  Access* access = Access::current();
  if (access == nullptr || access->options().publish_kbps == 0) return;
  const AccessOptions& options = access->options();
  if (kbps <= static_cast<double>(options.publish_kbps)) within_at_ = now;
  if (now - within_at_ < options.publish_patience) return loop_.arm(*this, loop_.in(kPeriod));
  access->count_too_fast();
  exceeded_({Errc::Limit, fmt::format("publisher sends {:.0f} kbit/s, more than {}", kbps,
                                      options.publish_kbps)});
}

}  // namespace weir
