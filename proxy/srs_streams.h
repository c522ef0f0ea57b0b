// proxy/srs_streams.h
// What an SRS says it has: the body of GET /api/v1/streams/.
//
//   {"code":0, "streams":[{"name":"cam", "app":"live", "tcUrl":"rtmp://a.org/live",
//                          "publish":{"active":true, "cid":"x"}, ...}, ...]}
//
// `vhost` there is an id and not a name, so the virtual host is what the publisher's tcUrl names.
//
// Threading: a pure function. Bounds: below, and what was in the body.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace weir {

inline constexpr std::size_t kMaxSrsStreamsBody = 1024 * 1024;
inline constexpr int kMaxSrsStreams = 1000;  // how many are asked for, with their count= parameter

// The keys (stream_key.h) of those that somebody publishes; entries that name no stream are left
// out. Errors: Protocol, Limit.
Result<std::vector<std::string>> published_in(std::string_view body);

}  // namespace weir
