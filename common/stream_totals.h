// common/stream_totals.h
// What the clients of each stream moved in all, and which streams are the busiest: the sums of what
// loops tell now and then (Sessions::take_loads).
//
// Kept here and not on the loops, because a total that shrinks when one loop forgets a stream would
// look to Prometheus like a restart.
//
// Threading: one owner's. Bounds: streams that have clients; who has none is forgotten at add().
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "common/sessions.h"

namespace weir {

struct StreamTotal {
  std::string key{};
  Traffic total{};            // since it was first seen, or seen again
  double received_per_s = 0;  // bytes, since the add() before
  double sent_per_s = 0;
  std::size_t viewers = 0;
  std::size_t publishers = 0;
};

class StreamTotals {
 public:
  // A rate over less than this would be mostly chance: what came is kept for the next one.
  static constexpr milliseconds kLeastPeriod{1000};

  void add(const StreamLoads& loads, Clock::time_point now);

  const std::unordered_map<std::string, StreamTotal>& all() const { return all_; }
  // Those that move most bytes come first.
  std::vector<StreamTotal> busiest(std::size_t most) const;

 private:
  std::unordered_map<std::string, StreamTotal> all_;
  std::unordered_map<std::string, Traffic> lately_;  // since `since_`
  Clock::time_point since_{};
};

}  // namespace weir
