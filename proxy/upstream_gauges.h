// proxy/upstream_gauges.h
// What metrics show of each upstream: weir_upstream_up and weir_upstream_streams, by its id.
//
// Threading: show() by one thread at a time; scrapes by any. Bounds: two series for each upstream of
// the last show(), which the Registry bounds; who is gone is not shown any more.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/metrics.h"
#include "proxy/upstream.h"

namespace weir {

class UpstreamGauges {
 public:
  // REQUIRES: `metrics` outlives this.
  explicit UpstreamGauges(Metrics& metrics) : metrics_(metrics) {}

  void show(std::span<const UpstreamState> states);

 private:
  struct Series {
    std::atomic<double> up{0};
    std::atomic<double> streams{0};
    Metrics::Sample show_up{};  // these two read the ones above, and so end before them
    Metrics::Sample show_streams{};
    bool seen = true;
  };

  Metrics& metrics_;
  std::map<std::string, std::unique_ptr<Series>> series_;
};

}  // namespace weir
