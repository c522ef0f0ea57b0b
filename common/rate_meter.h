// common/rate_meter.h
// How fast two counters grew lately, without a clock of its own: whoever owns one shows it the
// counters every now and then, and asks for the rate when somebody wants to know.
//
// The rate is that since the last sample but one, so over kPeriod to twice that; of what is younger,
// since its begin.
//
// Threading: one owner's. Bounds: two samples.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace weir {

struct Traffic {
  std::uint64_t received = 0;  // bytes
  std::uint64_t sent = 0;

  Traffic& operator+=(const Traffic& other) {
    received += other.received;
    sent += other.sent;
    return *this;
  }
};

struct TrafficRate {
  double received_kbps = 0;
  double sent_kbps = 0;

  TrafficRate& operator+=(const TrafficRate& other) {
    received_kbps += other.received_kbps;
    sent_kbps += other.sent_kbps;
    return *this;
  }
};

class RateMeter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kPeriod{5'000};

  explicit RateMeter(TimePoint begin) : older_{begin, {}}, newer_{begin, {}} {}

  // Kept if the last one is kPeriod old. Counters only grow.
  void sample(TimePoint now, const Traffic& total) {
    if (now - newer_.at < kPeriod) return;
    older_ = newer_;
    newer_ = {now, total};
  }

  TrafficRate rate(TimePoint now, const Traffic& total) const {
    const auto passed = std::chrono::duration<double, std::milli>(now - older_.at).count();
    const auto kbps = [passed](std::uint64_t from, std::uint64_t to) {
      constexpr double kBits = 8;
      return static_cast<double>(std::max(from, to) - from) * kBits / std::max(passed, 1.0);
    };
    return {kbps(older_.total.received, total.received), kbps(older_.total.sent, total.sent)};
  }

 private:
  struct Sample {
    TimePoint at;
    Traffic total;
  };
  Sample older_;
  Sample newer_;
};

}  // namespace weir
