#include "proxy/rtmp_relay_metrics.h"

namespace weir {

Tally& relayed_bytes(Metrics& metrics, const char* protocol, const char* direction) {
  return metrics.tally("weir_relayed_bytes_total",
                       "Bytes relayed, down to clients and up to origins.",
                       {{"protocol", protocol}, {"direction", direction}});
}

void session_ended(Metrics& metrics, const char* protocol, std::string_view kind,
                   std::string_view reason) {
  metrics
      .counter(
          "weir_session_ends_total", "Relayed sessions that ended, by why.",
          {{"protocol", protocol}, {"kind", std::string(kind)}, {"reason", std::string(reason)}})
      .Increment();
}

RtmpRelayMetrics::RtmpRelayMetrics(Metrics& metrics)
    : to_clients(relayed_bytes(metrics, "rtmp", "down")),
      to_upstreams(relayed_bytes(metrics, "rtmp", "up")),
      viewers(metrics.gauge("weir_viewers", "Viewers watching.", {{"protocol", "rtmp"}})),
      publishers(metrics.gauge("weir_publishers", "Publishers connected.")),
      metrics_(metrics) {}

void RtmpRelayMetrics::ended(std::string_view kind, std::string_view reason) {
  session_ended(metrics_, "rtmp", kind, reason);
}

}  // namespace weir
