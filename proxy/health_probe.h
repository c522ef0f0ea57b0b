// proxy/health_probe.h
// One look at one upstream: does it do what a session would need first?
//
//   tcp    it lets itself be connected: so does a hung process, for its kernel answers
//   rtmp   it completes the handshake (RTMP 5.2); nothing is asked of it after that, so it has no
//          application, no stream and no viewer to log
//   http   it answers a GET with a status below 500, whatever it is
//
// Threading: the resolver's loop. Bounds: the deadline, one connection at a time, a response head.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/io/resolver.h"
#include "proxy/upstream.h"

namespace weir {

enum class HealthCheck { Off, Auto, Tcp, Rtmp, Http };

// The option's words: off, auto, tcp, rtmp, http.
Result<HealthCheck> parse_health_check(std::string_view text);

// How and where an upstream is looked at.
struct HealthTarget {
  HealthCheck check = HealthCheck::Tcp;  // Tcp, Rtmp or Http
  Protocol protocol = Protocol::Rtmp;    // of the endpoints
};

// For Auto, and where the wanted protocol is not spoken: RTMP, else HTTP. Nothing for Off, and for
// an upstream that has no TCP port of these.
std::optional<HealthTarget> health_target(const Upstream& upstream, HealthCheck wanted);

// Good when one of its endpoints is, in their order. Errors: of the last one; Refused only when all
// refused.
Task<Result<void>> probe_health(Resolver& resolver, UpstreamPtr upstream, HealthTarget target,
                                std::string path, milliseconds timeout);

}  // namespace weir
