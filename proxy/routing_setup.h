// proxy/routing_setup.h
// The Router, and what it shares with other nodes, from the configuration.
//
// Threading: main's thread, before the loops run. Bounds: the configuration's.
#pragma once

#include <optional>
#include <string>

#include "common/config.h"
#include "proxy/health_checker.h"
#include "proxy/router.h"
#include "proxy/shared_routing.h"

namespace weir {

Router::Setup router_setup_of(const Config& config);
// Throws ConfigError when an upstream cannot be taken.
Router router_of(const Config& config);

HealthCheckOptions health_check_of(const Config& config);

// Nothing when this node shares nothing. A proxy shares routes and origins, and announces itself at
// `ports`; an edge that discovers its upstreams follows the proxies. Throws ConfigError when it is
// unknown where others reach this node, or a file of redis.tls_* cannot be used.
std::optional<SharedRoutingOptions> sharing_of(const Config& config, const std::string& node,
                                               const EndpointTable& ports);

}  // namespace weir
