// edge/edge_metrics.h
// What one loop of the edge counts. Made once a loop; a scrape adds the loops up.
#pragma once

#include "cache/media_log.h"
#include "common/metrics.h"

namespace weir {

class EdgeMetrics {
 public:
  explicit EdgeMetrics(Metrics& metrics);

  struct PerFormat {
    Tally* joins;
    Tally* jumps;
    Tally* bytes;
    Tally* flushes;
    prometheus::Gauge* viewers;
  };
  PerFormat& of(Format format) { return formats_[static_cast<std::size_t>(format)]; }

  // By why it ended; `reason` is an Errc's name.
  void viewer_ended(std::string_view reason);
  void pull_failed(std::string_view reason);

  Tally& bytes_received;
  Distribution& added_latency;
  Tally& pulls;
  prometheus::Gauge& pulls_now;
  prometheus::Gauge& publishers;
  prometheus::Gauge& streams;

 private:
  Metrics& metrics_;
  std::array<PerFormat, kFormatCount> formats_;
};

}  // namespace weir
