#include "proxy/relay_metrics.h"

#include <utility>

namespace weir {

namespace {

Tally& ignored_srt(Metrics& metrics, const char* reason) {
  return metrics.tally("weir_srt_ignored_total", "SRT packets from clients that were dropped.",
                       {{"reason", reason}});
}

}  // namespace

Tally& relayed_bytes(Metrics& metrics, const std::string& protocol, const char* direction) {
  return metrics.tally("weir_relayed_bytes_total",
                       "Bytes relayed, down to clients and up to origins.",
                       {{"protocol", protocol}, {"direction", direction}});
}

RelayMetrics::RelayMetrics(Metrics& metrics, std::string protocol)
    : to_clients(relayed_bytes(metrics, protocol, "down")),
      to_upstreams(relayed_bytes(metrics, protocol, "up")),
      viewers(metrics.gauge("weir_viewers", "Viewers watching.", {{"protocol", protocol}})),
      publishers(metrics.gauge("weir_publishers", "Publishers connected.")),
      metrics_(metrics),
      protocol_(std::move(protocol)) {}

void RelayMetrics::ended(std::string_view kind, std::string_view reason) {
  metrics_
      .counter(
          "weir_session_ends_total", "Relayed sessions that ended, by why.",
          {{"protocol", protocol_}, {"kind", std::string(kind)}, {"reason", std::string(reason)}})
      .Increment();
}

RtspRelayMetrics::RtspRelayMetrics(Metrics& metrics)
    : RelayMetrics(metrics, "rtsp"),
      refused_transports(metrics.counter("weir_rtsp_transports_refused_total",
                                         "SETUPs answered 461, for they asked for UDP alone.")) {}

SrtRelayMetrics::SrtRelayMetrics(Metrics& metrics)
    : RelayMetrics(metrics, "srt"),
      strays(ignored_srt(metrics, "stray")),
      malformed(ignored_srt(metrics, "malformed")),
      bad_cookies(ignored_srt(metrics, "cookie")),
      refused(metrics.tally("weir_srt_refused_total",
                            "SRT callers refused by this node, not by an origin.")) {}

}  // namespace weir
