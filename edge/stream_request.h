// edge/stream_request.h
// Which stream a client of the edge wants, and what of its request travels upstream.
#pragma once

#include <string>
#include <vector>

#include "common/stream_key.h"
#include "proxy/hop_mark.h"

namespace weir {

struct StreamRequest {
  StreamName name;
  HopMark mark;                        // as it goes upstream: this node is its last hop
  std::vector<amf0::Value> arguments;  // of publish, after the name
};

}  // namespace weir
