// common/redis/backoff.h
// How long to wait before trying again: twice as long each time, up to a cap, and each time
// somewhere between half of that and all of it, so that those who lost one server together do not
// come back together.
//
// Threading: one owner's.
#pragma once

#include <algorithm>
#include <random>
#include <utility>

#include "common/io/timer.h"

namespace weir::redis {

class Backoff {
 public:
  static constexpr milliseconds kFirst{50};
  static constexpr milliseconds kCap{1000};

  milliseconds next() {
    const milliseconds longest = std::exchange(longest_, std::min(longest_ * 2, kCap));
    std::uniform_int_distribution<milliseconds::rep> jitter(longest.count() / 2, longest.count());
    return milliseconds(jitter(random_));
  }
  void reset() { longest_ = kFirst; }

 private:
  milliseconds longest_ = kFirst;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace weir::redis
