// edge/edge_setup.h
// The edge's options, from the configuration.
//
// Threading: any thread. Bounds: the configuration's.
#pragma once

#include <string>

#include "common/config.h"
#include "edge/edge_options.h"

namespace weir {

// `files`, which may be null, outlives the node.
EdgeOptions edge_options_of(const Config& config, const std::string& node,
                            const http::StaticFiles* files);

}  // namespace weir
