// edge/http_session.h
// One HTTP client of the edge: GET of a live stream makes it a viewer, anything else is answered.
//
// Threading: the loop that accepted it. Bounds: those of http::ServerConnection.
#pragma once

#include <memory>

#include "edge/stream_hub.h"

namespace weir {

// `admission` is given back when the client has gone.
Task<void> serve_http(StreamHub& hub, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission);

}  // namespace weir
