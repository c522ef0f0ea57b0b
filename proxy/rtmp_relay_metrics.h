// proxy/rtmp_relay_metrics.h
// What one loop counts of the RTMP clients that it relays. A scrape adds the loops up.
#pragma once

#include <string_view>

#include "common/metrics.h"

namespace weir {

// The series of weir_relayed_bytes_total: "down" to clients, "up" to origins.
Tally& relayed_bytes(Metrics& metrics, const char* protocol, const char* direction);
// Counts in weir_session_ends_total.
void session_ended(Metrics& metrics, const char* protocol, std::string_view kind,
                   std::string_view reason);

class RtmpRelayMetrics {
 public:
  explicit RtmpRelayMetrics(Metrics& metrics);

  // `kind` is "play", "publish", or "none" when the client never asked; `reason` an Errc's name.
  void ended(std::string_view kind, std::string_view reason);

  Tally& to_clients;
  Tally& to_upstreams;
  prometheus::Gauge& viewers;
  prometheus::Gauge& publishers;

 private:
  Metrics& metrics_;
};

}  // namespace weir
