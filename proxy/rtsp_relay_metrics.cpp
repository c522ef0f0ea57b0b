#include "proxy/rtsp_relay_metrics.h"

#include "proxy/rtmp_relay_metrics.h"

namespace weir {

RtspRelayMetrics::RtspRelayMetrics(Metrics& metrics)
    : to_clients(relayed_bytes(metrics, "rtsp", "down")),
      to_upstreams(relayed_bytes(metrics, "rtsp", "up")),
      viewers(metrics.gauge("weir_viewers", "Viewers watching.", {{"protocol", "rtsp"}})),
      publishers(metrics.gauge("weir_publishers", "Publishers connected.")),
      refused_transports(metrics.counter("weir_rtsp_transports_refused_total",
                                         "SETUPs answered 461, for they asked for UDP alone.")),
      metrics_(metrics) {}

void RtspRelayMetrics::ended(std::string_view kind, std::string_view reason) {
  session_ended(metrics_, "rtsp", kind, reason);
}

}  // namespace weir
