// proxy/rtsp_relay_metrics.h
// What one loop counts of the RTSP clients that it relays. A scrape adds the loops up.
#pragma once

#include <string_view>

#include "common/metrics.h"

namespace weir {

class RtspRelayMetrics {
 public:
  explicit RtspRelayMetrics(Metrics& metrics);

  // `kind` is "play", "publish", or "none" when the client never asked; `reason` an Errc's name.
  void ended(std::string_view kind, std::string_view reason);

  Tally& to_clients;
  Tally& to_upstreams;
  prometheus::Gauge& viewers;
  prometheus::Gauge& publishers;
  prometheus::Counter& refused_transports;

 private:
  Metrics& metrics_;
};

}  // namespace weir
