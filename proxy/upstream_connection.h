// proxy/upstream_connection.h
// Connects to an endpoint of an upstream: over TCP, or TLS where the endpoint says so.
//
// One that expects to be told whom each connection is for is told so ahead of everything else, TLS
// too, by a PROXY header (version 2): the client, or LOCAL for what this node asks on its own, or
// for many at once. A connection for a client is that client's alone.
//
// Threading: the resolver's loop; UpstreamTls is immutable. Bounds: one deadline for all of it.
#pragma once

#include <memory>
#include <optional>
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

// A client's connection to this node.
struct ClientEnds {
  Address client;
  Address reached{};  // where it connected to, as far as that is known

  static ClientEnds of(const Socket& socket);
};

// Errors: Resolver::connect, Socket::write, connect_tls; Denied for TLS with an upstream of which
// nobody has said how to trust it.
Task<Result<std::unique_ptr<Socket>>> connect_upstream(Resolver& resolver, UpstreamPtr upstream,
                                                       Endpoint endpoint, Deadline deadline,
                                                       std::optional<ClientEnds> client = {});

}  // namespace weir
