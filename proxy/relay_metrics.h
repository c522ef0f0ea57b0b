// proxy/relay_metrics.h
// What one loop counts of the clients of one protocol that it relays. A scrape adds the loops up.
#pragma once

#include <string>
#include <string_view>

#include "common/metrics.h"

namespace weir {

// The series of weir_relayed_bytes_total: "down" to clients, "up" to origins.
Tally& relayed_bytes(Metrics& metrics, const std::string& protocol, const char* direction);

class RelayMetrics {
 public:
  // `protocol` is the label's value: "rtmp", "rtsp", "srt".
  RelayMetrics(Metrics& metrics, std::string protocol);

  // `kind` is "play", "publish", or "none" when the client never asked; `reason` an Errc's name.
  void ended(std::string_view kind, std::string_view reason);

  Tally& to_clients;
  Tally& to_upstreams;
  prometheus::Gauge& viewers;
  prometheus::Gauge& publishers;

 private:
  Metrics& metrics_;
  const std::string protocol_;
};

struct RtmpRelayMetrics : RelayMetrics {
  explicit RtmpRelayMetrics(Metrics& metrics) : RelayMetrics(metrics, "rtmp") {}
};

struct RtspRelayMetrics : RelayMetrics {
  explicit RtspRelayMetrics(Metrics& metrics);

  prometheus::Counter& refused_transports;
};

struct SrtRelayMetrics : RelayMetrics {
  explicit SrtRelayMetrics(Metrics& metrics);

  Tally& strays;       // packets of no session
  Tally& malformed;    // no SRT at all, or a handshake that is none
  Tally& bad_cookies;  // handshakes without a cookie of ours
  Tally& refused;      // rejections sent by us, not by an origin
};

}  // namespace weir
