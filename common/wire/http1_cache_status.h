// common/wire/http1_cache_status.h
// The Cache-Status field, RFC 9211: what a cache says about how it made a response.
//
// Threading: pure functions. Bounds: one line.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {

struct CacheStatus {
  // Why the request went to the origin; Hit: it did not.
  enum class Forwarded { Hit, Bypass, Method, UriMiss, VaryMiss, Stale, Request };

  Forwarded forwarded = Forwarded::Hit;
  std::optional<int> status;                // the origin's, where it differs from the one sent
  std::optional<std::chrono::seconds> ttl;  // freshness left; negative when stale
  bool stored = false;
  bool collapsed = false;  // another request's response

  friend bool operator==(const CacheStatus&, const CacheStatus&) = default;
};

// Appends the member that the cache named `cache` adds to the list: `weir; hit; ttl=30`.
void append_cache_status(std::string_view cache, const CacheStatus& status, std::string& out);

}  // namespace weir::http
