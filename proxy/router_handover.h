// proxy/router_handover.h
// What a Router knows, as lines for the process that takes this one's place: registered origins,
// drained ones, and which stream is where. Without it a viewer who comes after an upgrade could be
// sent to another origin than the one that has his stream.
//
//     origin 1200 {"server_id":...}      heard so many milliseconds ago
//     drained {"name":...}
//     route {"stream":...,"upstream":...,"generation":...}
//
// Threading: the Router's. Bounds: an entry each; lines as shared_codec.h bounds them.
#pragma once

#include <string>
#include <vector>

#include "proxy/router.h"

namespace weir {

std::vector<std::string> tell_all(const Router& router, TimePoint now);
// The routes that sessions hold: told again and again, they stay.
std::vector<std::string> tell_held(const Router& router);

// A route gives way to one that is known already. What makes no sense is ignored: the process that
// says it may be of a later version.
void hear(Router& router, const std::string& line, TimePoint now);

}  // namespace weir
