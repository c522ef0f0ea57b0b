// proxy/proxy_setup.h
// The proxy's ports and options, from the configuration, and what both roles have in common of them.
//
// Threading: main's thread, before the loops run. Bounds: the configuration's.
#pragma once

#include <string>

#include "common/config.h"
#include "common/port_opener.h"
#include "proxy/proxy_node.h"
#include "proxy/public_api.h"

namespace weir {

rtmp::ReaderLimits rtmp_limits_of(const Config& config);
DialOptions dial_options_of(const Config& config);

TrustedHops trusted_hops_of(const Config& config);

// Those of the role, open. Throws ConfigError when one cannot be had.
ProxyNode::Ports open_ports(const Config& config, PortOpener& opener);
// Where others reach this node.
EndpointTable reached_at(const Config& config, const ProxyNode::Ports& ports);

// `files`, which may be null, outlives the node. Throws ConfigError.
ProxyNode::Options proxy_options_of(const Config& config, const std::string& node,
                                    const http::StaticFiles* files, const ProxyNode::Ports& ports);

PublicApi::Options public_api_options_of(const Config& config);

}  // namespace weir
