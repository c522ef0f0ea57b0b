#include "edge/edge_metrics.h"

namespace weir {

EdgeMetrics::EdgeMetrics(Metrics& metrics)
    : bytes_received(
          metrics.tally("weir_bytes_received_total", "Media bytes received from sources.")),
      added_latency(metrics.distribution(
          "weir_added_latency_seconds",
          "From a packet's arrival to the write that sent it to viewers; one packet in 16.",
          kDelayBuckets)),
      pulls(metrics.tally("weir_pulls_total", "Connections made upstream to pull a stream.")),
      pulls_now(metrics.gauge("weir_pulls", "Streams being pulled from upstream.")),
      publishers(metrics.gauge("weir_publishers", "Publishers connected.")),
      streams(metrics.gauge("weir_streams", "Streams that this node holds.")),
      metrics_(metrics) {
  for (const Format format : kFormats) {
    const Metrics::Labels labels{{"protocol", std::string(name(format))}};
    of(format) = {
        .joins = &metrics.tally("weir_joins_total", "Viewers that began to watch.", labels),
        .jumps = &metrics.tally("weir_jumps_total", "Slow viewers moved on to the newest keyframe.",
                                labels),
        .bytes = &metrics.tally("weir_bytes_sent_total", "Bytes sent to viewers.", labels),
        .flushes =
            &metrics.tally("weir_flush_writes_total", "Writes that sent media to viewers.", labels),
        .viewers = &metrics.gauge("weir_viewers", "Viewers watching.", labels),
    };
  }
}

void EdgeMetrics::viewer_ended(std::string_view reason) {
  metrics_
      .counter("weir_viewer_ends_total", "Viewers gone, by why.", {{"reason", std::string(reason)}})
      .Increment();
}

void EdgeMetrics::pull_failed(std::string_view reason) {
  metrics_
      .counter("weir_pull_failures_total", "Pulls that ended, by why.",
               {{"reason", std::string(reason)}})
      .Increment();
}

}  // namespace weir
