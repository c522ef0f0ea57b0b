// proxy/srt_relay_metrics.h
// What one loop counts of the SRT clients that it relays. A scrape adds the loops up.
#pragma once

#include <string_view>

#include "proxy/rtmp_relay_metrics.h"

namespace weir {

class SrtRelayMetrics {
 public:
  explicit SrtRelayMetrics(Metrics& metrics);

  // As RtmpRelayMetrics::ended().
  void ended(std::string_view kind, std::string_view reason);

  Tally& to_clients;
  Tally& to_upstreams;
  Tally& strays;       // packets of no session
  Tally& malformed;    // no SRT at all, or a handshake that is none
  Tally& bad_cookies;  // handshakes without a cookie of ours
  Tally& refused;      // rejections sent by us, not by an origin
  prometheus::Gauge& viewers;
  prometheus::Gauge& publishers;

 private:
  Metrics& metrics_;
};

}  // namespace weir
