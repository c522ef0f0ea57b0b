// common/access/url_signature.h
// URLs that carry their own permission:
//
//     http://edge:8080/live/cam.m3u8?expires=1767225600&sig=5f0c...
//
//     sig = hex(HMAC-SHA256(secret, "play /live/cam?expires=1767225600"))
//
// What is signed is the action, the stream's name (access_request.h: "/live/cam", or
// "a.org/live/cam" for a virtual host) and the end in seconds since 1970, and not the URL: so one
// signature is good for the stream in every protocol, and for the files of its playlists, and for
// nothing else.
//
// A secret is replaced without a gap: add the new one beside the old, sign with the new, and take the
// old one out when its last signatures have expired.
//
// Threading: pure functions. Bounds: kMaxNames HMACs for each secret.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/access/access_request.h"

namespace weir {

// Lower case hexadecimal digits.
std::string url_signature(std::string_view secret, AccessAction action, std::string_view name,
                          std::int64_t expires);

// Which of the names the signature among the arguments is for, at `now` (seconds since 1970).
// Refusals: NoToken without expires and sig, BadToken, Expired.
struct SignedUrl {
  std::string name;
  std::int64_t expires;
};
std::expected<SignedUrl, AccessRefusal> verify_signed_url(std::span<const std::string> secrets,
                                                          AccessAction action,
                                                          std::span<const std::string> names,
                                                          std::string_view query, std::int64_t now);

// Seconds since 1970 as people write them: digits only, at most 12.
std::optional<std::int64_t> parse_expiry(std::string_view text);

}  // namespace weir
