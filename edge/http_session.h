// edge/http_session.h
// One HTTP client of the edge: GET of a live stream, plainly or over WebSocket, makes it a viewer,
// anything else is answered.
//
// Threading: the loop that accepted it. Bounds: those of http::ServerConnection.
#pragma once

#include <memory>

#include "edge/stream_hub.h"

namespace weir {

// `cache` serves what is no live pipe; null: nothing else is here. `admission` is given back when the
// client has gone.
Task<void> serve_http(StreamHub& hub, HttpCache* cache, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission);

}  // namespace weir
