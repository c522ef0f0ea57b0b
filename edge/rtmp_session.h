// edge/rtmp_session.h
// One RTMP client of the edge, from its handshake to its end: a publisher, or a
// viewer until it is admitted to its stream's Fanout.
//
// Threading: the loop that accepted it. Bounds: a deadline on everything; until the request,
// messages of 64 KiB.
#pragma once

#include <memory>

#include "edge/stream_hub.h"

namespace weir {

// `admission` is given back when the client has gone.
Task<void> serve_rtmp(StreamHub& hub, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission);

}  // namespace weir
