// proxy/registration.h
// What an origin says about itself: the body of POST /api/v1/srs/register, as
// SRS 5 and later send it by their heartbeat.
//
//   {"ip":"10.0.0.5", "server":"vid-1x", "service":"8dh3", "pid":"1204", "device_id":"a1",
//    "rtmp":["1935"], "http":[":8080"], "api":["tcp://10.0.0.5:1985"], "srt":["10080"],
//    "rtc":["udp://0.0.0.0:8000"], "rtsp":[]}
//
// `ip`, `server`, `service`, `pid` and one endpoint at least are required; unknown fields are
// ignored, for SRS sends more than routing needs. A list may also be one string. An endpoint
// without a host, or with the wildcard address, is at `ip`, which may be a host name.
//
// `zone` says where it stands, as upstream.*.zone does in the configuration. Of `summaries`, which
// SRS adds when told so, one number means the same on every server and is taken as the load:
// data.system.cpu_percent, the busy share of all the machine's cores, 0 to 1. Without it nothing is
// known of the load.
//
// Threading: a pure function. Bounds: below; nothing is kept that was not in the body.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "proxy/upstream.h"

namespace weir {

inline constexpr std::size_t kMaxRegistrationBody = 64 * 1024;
inline constexpr std::size_t kMaxRegistrationDepth = 16;
inline constexpr std::size_t kMaxRegistrationEndpoints = 16;  // of one protocol
inline constexpr std::size_t kMaxRegistrationText = 256;

struct Registration {
  std::string server;
  std::string service;
  std::string pid;
  std::string device_id;
  std::string host;
  std::string zone{};
  EndpointTable endpoints;
  std::optional<double> load{};  // 0 idle to 1 busy

  Upstream upstream() const;
};

// What an upstream that registered said of itself, but for its load. REQUIRES: it has registered.
Registration registration_of(const Upstream& upstream);

// A wrong body is Errc::Protocol, one beyond a bound Errc::Limit; the text begins with the field at
// fault ("field rtmp: ..."), or with "body: ...", and never repeats what the peer sent.
Result<Registration> parse_registration(std::string_view body);

}  // namespace weir
