// common/wire/http1_conditional.h
// Preconditions that a cache may answer from what it has, RFC 9110 section 13 and RFC 9111 4.3.2.
//
// Only those that ask "has it changed?" are here. If-Match and If-Unmodified-Since ask the origin
// about its present state, which a cache does not know.
//
// Threading: pure functions.
#pragma once

#include "common/wire/http1_date.h"
#include "common/wire/http1_headers.h"

namespace weir::http {

// RFC 9110 8.8.3.2: the same but for W/, and the same with neither weak.
bool weakly_same(std::string_view a, std::string_view b);
bool strongly_same(std::string_view a, std::string_view b);

// Whether If-None-Match, or else If-Modified-Since, finds a response with the headers `stored`
// unchanged: the answer is 304. A stored response without Last-Modified is as old as its Date.
bool not_modified(const Headers& request, const Headers& stored, Date now);

// Whether a Range is to be obeyed: there is no If-Range, or it names just this response.
bool range_applies(const Headers& request, const Headers& stored, Date now);

}  // namespace weir::http
