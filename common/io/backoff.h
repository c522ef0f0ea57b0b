// common/io/backoff.h
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

namespace weir {

class Backoff {
 public:
  Backoff(milliseconds first, milliseconds cap) : first_(first), cap_(cap) {}

  milliseconds next() {
    const milliseconds longest = std::exchange(longest_, std::min(longest_ * 2, cap_));
    std::uniform_int_distribution<milliseconds::rep> jitter(longest.count() / 2, longest.count());
    return milliseconds(jitter(random_));
  }
  void reset() { longest_ = first_; }

 private:
  const milliseconds first_;
  const milliseconds cap_;
  milliseconds longest_ = first_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace weir
