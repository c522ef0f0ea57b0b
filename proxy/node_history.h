// proxy/node_history.h
// What this node did in the last hour, for the graphs of the console.
//
// Threading: any thread. Bounds: kSamples samples, the oldest is let go for a new one.
#pragma once

#include <Poco/JSON/Object.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "proxy/control_view.h"

namespace weir {

class NodeHistory {
 public:
  static constexpr std::chrono::seconds kPeriod{10};
  static constexpr std::size_t kSamples = std::chrono::hours{1} / kPeriod;

  // `at_ms` since 1970.
  void add(std::int64_t at_ms, const NodeView& node);

  // {"period_ms": 10000, "at": [...], "viewers": [...], ...}: a column for each number, oldest first;
  // rates in kbit/s, shares of time from 0 to 1 (`loop` is the busiest loop's), memory in KiB.
  Poco::JSON::Object::Ptr json() const;

 private:
  struct Sample {
    std::int64_t at_ms = 0;
    std::size_t viewers = 0;
    std::size_t publishers = 0;
    std::size_t streams = 0;
    TrafficRate rate{};
    double loop = 0;
    double cpu = 0;
    std::uint64_t memory_kb = 0;
  };

  mutable std::mutex mutex_;
  std::deque<Sample> samples_;
};

}  // namespace weir
