// proxy/upstream_connection.h
// Connects to an endpoint of an upstream: over TCP, or TLS where the endpoint says so.
//
// Threading: the resolver's loop; UpstreamTls is immutable. Bounds: one deadline for all of it.
#pragma once

#include <memory>
#include <string>

#include "common/io/resolver.h"
#include "common/io/tls.h"
#include "proxy/upstream.h"

namespace weir {

// How an upstream proves who it is.
struct UpstreamTls {
  TlsContext context;
  std::string name;  // that the certificate is for; empty: the endpoint's host
};

// Errors: Resolver::connect, connect_tls; Denied for TLS with an upstream of which nobody has said
// how to trust it.
Task<Result<std::unique_ptr<Socket>>> connect_upstream(Resolver& resolver, UpstreamPtr upstream,
                                                       Endpoint endpoint, Deadline deadline);

}  // namespace weir
