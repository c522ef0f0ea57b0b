#include "proxy/srt_relay_metrics.h"

namespace weir {

namespace {

Tally& ignored(Metrics& metrics, const char* reason) {
  return metrics.tally("weir_srt_ignored_total", "SRT packets from clients that were dropped.",
                       {{"reason", reason}});
}

}  // namespace

SrtRelayMetrics::SrtRelayMetrics(Metrics& metrics)
    : to_clients(relayed_bytes(metrics, "srt", "down")),
      to_upstreams(relayed_bytes(metrics, "srt", "up")),
      strays(ignored(metrics, "stray")),
      malformed(ignored(metrics, "malformed")),
      bad_cookies(ignored(metrics, "cookie")),
      refused(metrics.tally("weir_srt_refused_total",
                            "SRT callers refused by this node, not by an origin.")),
      viewers(metrics.gauge("weir_viewers", "Viewers watching.", {{"protocol", "srt"}})),
      publishers(metrics.gauge("weir_publishers", "Publishers connected.")),
      metrics_(metrics) {}

void SrtRelayMetrics::ended(std::string_view kind, std::string_view reason) {
  session_ended(metrics_, "srt", kind, reason);
}

}  // namespace weir
