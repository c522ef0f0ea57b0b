// proxy/health_checker.h
// Looks at every upstream again and again, and tells the Routing what it found.
//
//     spawn once, on the Routing's loop:   checker.run()
//
// Each upstream has its own time, from a random first moment and with jitter, so that many nodes do
// not knock together and one loop's work is spread. A slow one delays itself alone. What a number of
// bad or good looks leads to is for UpstreamHealth to say.
//
// Threading: one loop, the Routing's. Bounds: kMaxUnderWay probes at a time, each with its timeout;
// further ones wait their turn; an entry for each known upstream.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/io/child.h"
#include "common/metrics.h"
#include "proxy/health_probe.h"
#include "proxy/registry.h"

namespace weir {

struct HealthCheckOptions {
  HealthCheck check = HealthCheck::Auto;
  std::string path = "/";
  milliseconds interval{1000};
  milliseconds timeout{1000};  // of one endpoint
};

class HealthChecker {
 public:
  static constexpr std::size_t kMaxUnderWay = 64;
  // What was found, and why if it is bad. On the loop.
  using Tell = std::function<void(const std::string& id, Probed result, const std::string& why)>;

  // REQUIRES: `registry` lives as long as run() does.
  HealthChecker(Loop& loop, const Registry& registry, HealthCheckOptions options, Metrics& metrics,
                Tell tell);

  // From the next look on. On the loop.
  void change(HealthCheckOptions options) { options_ = std::move(options); }

  // Until the loop gives up its waits.
  Task<void> run();

 private:
  struct Patient {
    TimePoint due;
    std::uint64_t life = 0;  // of the server, when it was looked at last
    bool under_way = false;
  };

  void follow_registry();
  void start_due(Resolver& resolver);
  Child* free_child();
  Duration until_next() const;
  Task<void> look(Resolver& resolver, std::string id, UpstreamPtr upstream, HealthTarget target);
  void took(const std::string& id, const Result<void>& found);
  Duration jittered(double low, double high);

  Loop& loop_;
  const Registry& registry_;
  HealthCheckOptions options_;
  const Tell tell_;
  prometheus::Counter& good_;
  prometheus::Counter& bad_;
  prometheus::Counter& refused_;
  std::map<std::string, Patient> patients_;
  std::vector<std::unique_ptr<Child>> children_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace weir
