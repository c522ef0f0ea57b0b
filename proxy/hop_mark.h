// proxy/hop_mark.h
// What one weir tells the next about a connection: through which nodes it came,
// and the id that follows it through the logs of all tiers.
//
// Over RTMP these are two properties of the connect object, which servers hand on or ignore; over
// HTTP they are CDN-Loop (RFC 8586) and X-Request-Id. A node that finds itself among the hops has
// been asked for a stream that it would ask itself for: it refuses. A third property tells RTMP
// servers whose connection a proxy relays; over HTTP that is X-Forwarded-For.
//
// Threading: any. Bounds: those of a connect object; ids of at most 64 bytes.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"
#include "common/rtmp/server.h"
#include "common/wire/http1_headers.h"

namespace weir {

struct HopMark {
  std::string hops;  // node ids separated by commas, the first hop first
  std::string id;    // of the connection
};

// 16 hexadecimal digits nobody can guess.
std::string random_id();

// From the fields of a request over HTTP; its id replaced as below.
HopMark hop_mark_of(const http::Headers& headers);
// From a connect object. An id that is missing or not fit for logs is replaced by a new one.
HopMark hop_mark_of(const rtmp::Request& request);
// What `node` passes on. Errors: Loop when it is among the hops already, whatever its case, or when
// there are more than max_hops.
Result<HopMark> next_hop(const HopMark& mark, std::string_view node, int max_hops);
void set_hop_mark(amf0::Value& connect_object, const HopMark& mark);
// For whom it is, as clientAddr, whatever the client has said there; empty: nobody is told.
void set_client_address(amf0::Value& connect_object, const std::string& host);

// Letters, digits and -_.: of at most 64 bytes: what an id from outside must be to be taken over.
bool is_plain_id(std::string_view text);

}  // namespace weir
