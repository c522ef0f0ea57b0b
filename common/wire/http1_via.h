// common/wire/http1_via.h
// Who has relayed a message already: CDN-Loop (RFC 8586) finds loops, Via (RFC 9110 7.6.3) names
// the way.
//
// Every weir adds its id to CDN-Loop upstream and refuses a request (508) that carries it. As both
// fields only ever grow by a line, nobody's bytes are rewritten.
//
// Threading: pure functions. Bounds: the reader's limits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/wire/http1_headers.h"

namespace weir::http {

// The cdn-ids of one CDN-Loop value, without parameters, in order. Errors: Errc::Protocol for what
// the grammar does not allow: an id that is neither a token nor a host with a port, an unfinished
// quoted string.
Result<std::vector<std::string_view>> parse_cdn_loop(std::string_view value);

// Those of all fields. A value that does not parse is taken for a plain list, so that broken bytes
// before an id cannot hide it.
std::vector<std::string_view> cdn_loop_of(const Headers& headers);
// Whether `id` is among them; without case.
bool cdn_loop_contains(const Headers& headers, std::string_view id);

// REQUIRES: `id` is a token or host[:port].
void add_cdn_loop(Headers& headers, std::string_view id);

// `minor_version` is that of the message as it was received. REQUIRES: `name` is a token or
// host[:port].
void add_via(Headers& headers, int minor_version, std::string_view name);

}  // namespace weir::http
