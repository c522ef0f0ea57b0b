// cache/http_policy.h
// What a shared cache may do with a response: RFC 9111 as functions of values.
//
//     may_store(request, response) ──► freshness_of(response, ...) ──► reuse_of(freshness, age, request)
//        no: pass it on                    how long, how stale             as it is | behind the
//                                                                          scenes | after validation
//
// What the origin says about lifetimes is obeyed. What it does not say is decided by what the
// response is: a playlist is worth half of its update interval, a segment `segment_ttl`, an error a
// second, and anything else a tenth of its age (RFC 9111 4.2.2). A playlist whose origin has gone is
// served until it is one update interval old.
//
// Responses with Set-Cookie are stored only if the origin calls them public or gives them an
// s-maxage: the specification allows more (RFC 9111 7.3), but a cookie handed to the wrong viewer is
// somebody's session.
//
// Threading: pure functions; time is what the caller says.
#pragma once

#include <chrono>
#include <string_view>

#include "common/wire/http1.h"
#include "common/wire/http1_cache_control.h"
#include "common/wire/http1_date.h"

namespace weir {

using std::chrono::milliseconds;

enum class HttpKind { Playlist, Manifest, Segment, Other };

// By the extension of `path`, else by the media type, either of which may be empty.
HttpKind http_kind(std::string_view path, std::string_view content_type);

struct HttpPolicy {
  milliseconds segment_ttl{60'000};
  milliseconds playlist_ttl{1'000};  // when its update interval is not known
  milliseconds error_ttl{1'000};     // 404 and its like
};

// How long a stored response may be used, counted from its age 0.
struct HttpFreshness {
  milliseconds initial_age{0};  // when it came
  milliseconds lifetime{0};
  milliseconds stale_while_revalidate{0};  // beyond lifetime
  milliseconds stale_if_error{0};          // beyond lifetime
  bool always_validate = false;            // no-cache
  bool never_stale = false;                // must-revalidate and its like
  bool from_interval = false;  // lifetime and stale_if_error wait for the update interval

  friend bool operator==(const HttpFreshness&, const HttpFreshness&) = default;
};

// Whether a response to GET may be kept at all (RFC 9111 section 3).
bool may_store(const http::Request& request, const http::Response& response);

// REQUIRES: may_store(). `waited` is the time from the request to the response.
HttpFreshness freshness_of(HttpKind kind, const http::Response& response, http::Date now,
                           milliseconds waited, const HttpPolicy& policy);

// The update interval of a playlist has been read from its body: its target duration, or its
// minimumUpdatePeriod. A blocking LL-HLS playlist (`_HLS_msn`) never changes once it has been given.
void apply_interval(HttpFreshness& freshness, milliseconds interval, bool blocking);

// Worth keeping: it can be used again some time, with or without validation.
bool worth_storing(const HttpFreshness& freshness, const http::Headers& headers);

enum class HttpReuse {
  Fresh,     // as it is
  Stale,     // as it is, while it is validated behind the scenes
  Validate,  // not before the origin has agreed
};
HttpReuse reuse_of(const HttpFreshness& freshness, milliseconds age,
                   const http::CacheControl& request);

// Whether it may be used although the origin fails (RFC 5861 section 4).
bool usable_on_error(const HttpFreshness& freshness, milliseconds age);
// Which answers count as a failing origin.
bool is_origin_failure(int status);

// Cache-Control of a request, and Pragma when there is none (RFC 9111 5.4).
http::CacheControl request_control(const http::Headers& request);

// Whether a successful request of that method changes what the cache may have (RFC 9111 4.4).
bool is_unsafe(std::string_view method);

// The stored headers, with what a 304 or a response to HEAD says anew (RFC 9111 3.2): everything but
// what describes the stored body.
void update_headers(http::Headers& stored, const http::Headers& news);

// Makes `headers` those of a stored response: without what belongs to one hop, and with a Date.
void clean_for_storing(http::Headers& headers, http::Date now);

}  // namespace weir
