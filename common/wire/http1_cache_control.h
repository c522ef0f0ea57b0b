// common/wire/http1_cache_control.h
// The Cache-Control field of requests and responses, RFC 9111 section 5.2.
//
// Read so that doubt makes nothing fresher: a lifetime that is no number is zero, of two that differ
// the shorter one counts, and `private` or `no-cache` with a list of fields is taken for the whole
// response, as the specification allows.
//
// Threading: values and pure functions. Bounds: holds no text.
#pragma once

#include <chrono>
#include <optional>

#include "common/wire/http1_headers.h"

namespace weir::http {

struct CacheControl {
  // More than this is the same as this (RFC 9111 1.2.2).
  static constexpr std::chrono::seconds kForever{2147483648};

  bool no_store = false;
  bool no_cache = false;
  bool is_private = false;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool only_if_cached = false;
  std::optional<std::chrono::seconds> max_age;
  std::optional<std::chrono::seconds> s_maxage;
  std::optional<std::chrono::seconds> min_fresh;
  std::optional<std::chrono::seconds> max_stale;               // kForever when it has no value
  std::optional<std::chrono::seconds> stale_while_revalidate;  // RFC 5861
  std::optional<std::chrono::seconds> stale_if_error;

  friend bool operator==(const CacheControl&, const CacheControl&) = default;
};

// Over all fields of that name.
CacheControl cache_control_of(const Headers& headers);

// Digits only, at most kForever. Nothing for anything else.
std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text);

}  // namespace weir::http
