// proxy/problem_response.h
// A refusal as problem details (RFC 9457), readable by scripts of any site.
//
// Threading: pure functions. Bounds: the text's.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/http1_headers.h"

namespace weir {

// Head and body, ready to send. `id` goes into X-Request-Id unless it is empty.
std::string problem_response(int status, std::string_view why, std::string_view id, bool keep_alive,
                             const http::Headers& more = {});

}  // namespace weir
