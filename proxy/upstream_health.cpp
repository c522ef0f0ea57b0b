#include "proxy/upstream_health.h"

#include <algorithm>
#include <utility>

namespace weir {

void UpstreamHealth::restarted(TimePoint now) {
  const auto failures = failures_;
  const auto ejections = ejections_;
  *this = {};
  failures_ = failures;
  ejections_ = ejections;
  since_ = now;
}

bool UpstreamHealth::failed(const HealthOptions& options, TimePoint now) {
  ++failures_;
  good_probes_ = 0;
  const bool kept_streams = std::exchange(only_hung_up_, false) && ejected(now);
  return eject(options, now) || kept_streams;
}

bool UpstreamHealth::hung_up(const HealthOptions& options, TimePoint now) {
  ++failures_;
  if (++hang_ups_ < options.errors) return false;
  hang_ups_ = 0;
  good_probes_ = 0;
  if (!eject(options, now)) return false;
  only_hung_up_ = true;
  return true;
}

bool UpstreamHealth::eject(const HealthOptions& options, TimePoint now) {
  if (ejected(now)) return false;
  ++ejections_;
  only_hung_up_ = false;
  // Past the cap a higher count changes nothing, and would overflow the product.
  ejected_for_ = options.backoff_cap;
  if (options.backoff * incidents_ < options.backoff_cap) {
    ++incidents_;
    ejected_for_ = std::min(options.backoff * incidents_, options.backoff_cap);
  }
  until_ = now + ejected_for_;
  since_ = until_;
  return true;
}

bool UpstreamHealth::probed(const HealthOptions& options, Probed result, TimePoint now) {
  if (result != Probed::Good) {
    good_probes_ = 0;
    if (++bad_probes_ < options.fall && result != Probed::Refused) return false;
    if (probes_ == Probes::Down) return false;
    const bool kept_streams = std::exchange(only_hung_up_, false) && ejected(now);
    const bool now_out = eject(options, now);
    probes_ = Probes::Down;
    return now_out || kept_streams;
  }
  bad_probes_ = 0;
  if (!ejected(now)) {
    probes_ = Probes::Up;
    succeeded(now);
    return false;
  }
  if (probes_ != Probes::Down && !options.probes_talk) return false;
  ++good_probes_;
  const std::uint32_t enough =
      backing_off(now) ? options.rise * std::max(incidents_, 1U) : options.rise;
  if (good_probes_ < enough) return false;
  probes_ = Probes::Up;
  come_back(now);
  return false;
}

void UpstreamHealth::come_back(TimePoint now) {
  until_ = now;
  since_ = now;
  good_probes_ = 0;
  hang_ups_ = 0;
}

void UpstreamHealth::succeeded(TimePoint now) {
  if (!until_) return;
  if (backing_off(now)) {
    if (probes_ != Probes::Down) come_back(now);
  } else if (probes_ != Probes::Down && now - *until_ >= ejected_for_) {
    incidents_ = 0;
  }
}

double UpstreamHealth::warmth(const HealthOptions& options, TimePoint now) const {
  if (!since_ || options.slow_start <= Duration{}) return 1;
  const auto warm_for = std::chrono::duration<double>(now - *since_);
  const auto whole = std::chrono::duration<double>(options.slow_start);
  return std::clamp(warm_for / whole, kColdest, 1.0);
}

}  // namespace weir
