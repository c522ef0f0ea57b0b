// proxy/upstream_connection.h
// Connects to an endpoint of an upstream.
//
// One that expects to be told whom each connection is for is told so ahead of everything else, by a
// PROXY header (version 2): the client, or LOCAL for what this node asks on its own, or for many at
// once. A connection for a client is that client's alone.
//
// Threading: the resolver's loop. Bounds: one deadline for all of it.
#pragma once

#include <memory>
#include <optional>

#include "common/io/resolver.h"
#include "proxy/upstream.h"

namespace weir {

// A client's connection to this node.
struct ClientEnds {
  Address client;
  Address reached{};  // where it connected to, as far as that is known

  static ClientEnds of(const Socket& socket);
};

// Errors: Resolver::connect, Socket::write.
Task<Result<std::unique_ptr<Socket>>> connect_upstream(Resolver& resolver, UpstreamPtr upstream,
                                                       Endpoint endpoint, Deadline deadline,
                                                       std::optional<ClientEnds> client = {});

}  // namespace weir
