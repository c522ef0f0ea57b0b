// common/tally.h
// Numbers that one thread adds to as plainly as to a variable, and others read: a Tally counts, a
// Distribution counts by size (what Prometheus calls a histogram).
//
// Why not the library's own: its counters cost an atomic addition and its histograms a mutex, which
// loops would share.
//
// Threading: add() by one thread, the rest by any; a reader may see a value's bucket before its sum.
// Bounds: a Distribution has one number for each bucket, fixed when it is made.
#pragma once

#include <prometheus/client_metric.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

namespace weir {

// Upper bounds, in seconds: of what a person waits for, and of what one node takes its time for.
inline constexpr std::array kWaitBuckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1.0,   2.5,  5.0,   10.0, 30.0};
inline constexpr std::array kDelayBuckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                          0.025,  0.05,    0.1,    0.25,  0.5,    1.0};

class Tally {
 public:
  // One writer, so this is a plain addition.
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<std::uint64_t> value_{0};  // loops do not share cache lines
};

class Distribution {
 public:
  // REQUIRES: `bounds` ascend and outlive this.
  explicit Distribution(std::span<const double> bounds);
  Distribution(const Distribution&) = delete;
  Distribution& operator=(const Distribution&) = delete;

  void add(double value);
  void add(std::chrono::nanoseconds time) { add(std::chrono::duration<double>(time).count()); }

  // Adds what this holds to `sum`, which is empty or of a Distribution of the same bounds.
  void add_to(prometheus::ClientMetric::Histogram& sum) const;

 private:
  const std::span<const double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;  // one more than bounds: what is above all
  std::atomic<double> sum_{0};
};

}  // namespace weir
