// proxy/api_fetch.h
// What the HTTP API of an upstream answers to one GET.
//
// Threading: the resolver's loop. Bounds: `most` bytes, until `deadline`.
#pragma once

#include <string>

#include "common/io/resolver.h"
#include "proxy/upstream.h"

namespace weir {

// The body of a 200. Errors: Unavailable for another status, Limit, and those of
// connect_upstream() and ClientConnection.
Task<Result<std::string>> fetch_api(Resolver& resolver, UpstreamPtr upstream, Endpoint endpoint,
                                    std::string target, std::size_t most, Deadline deadline);

}  // namespace weir
