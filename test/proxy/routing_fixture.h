// test/proxy/routing_fixture.h
// Upstreams, heartbeats and a clock for the tests of routing.
#pragma once

#include <string>
#include <vector>

#include "proxy/registration.h"
#include "proxy/registry.h"
#include "proxy/upstream.h"

namespace weir {

inline TimePoint at(double seconds) {
  return TimePoint{} + std::chrono::hours{1} +
         std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

inline Upstream configured(const std::string& id, std::uint32_t weight = 1) {
  Upstream upstream{.id = id,
                    .service = {},
                    .pid = {},
                    .device_id = {},
                    .host = id + ".example",
                    .endpoints = {},
                    .weight = weight,
                    .knowledge = Knowledge::Configured};
  upstream.at(Protocol::Rtmp) = {{id + ".example", 1935}};
  return upstream;
}

inline Registration beat(const std::string& server, const std::string& service = "first") {
  Registration registration{.server = server,
                            .service = service,
                            .pid = "1",
                            .device_id = {},
                            .host = "10.0.0.5",
                            .endpoints = {}};
  registration.endpoints[static_cast<std::size_t>(Protocol::Rtmp)] = {{"10.0.0.5", 1935}};
  return registration;
}

inline std::vector<std::string> ids(const std::vector<UpstreamPtr>& upstreams) {
  std::vector<std::string> result;
  for (const UpstreamPtr& upstream : upstreams) result.push_back(upstream->id);
  return result;
}

}  // namespace weir
