// common/access/token.h
// JSON Web Tokens as permissions (RFC 7519), signed with HS256, RS256 or ES256:
//
//     {"exp":1767225600, "nbf":..., "aud":"...", "iss":"...",
//      "stream":"/live/*", "action":"play"}
//
//     exp       wanted: seconds since 1970
//     stream    a pattern for the stream's name, or a list of them; without it `sub` is the pattern
//     action    "play", "publish" or a list of them; without it a token is for playing alone
//
// In a pattern `*` stands for any characters, also slashes; a slash in front may be left out.
//
// Threading: pure functions. Bounds: kMaxToken bytes, kMaxPatterns patterns.
#pragma once

#include "common/access/access_request.h"
#include "common/access/key_set.h"

namespace weir {

inline constexpr std::size_t kMaxToken = 8 * 1024;

struct TokenRules {
  std::string audience{};   // `aud` must have it; empty: any
  std::string issuer{};     // `iss` must be it; empty: any
  std::int64_t leeway = 0;  // seconds that clocks may differ
};

struct TokenClaims {
  static constexpr std::size_t kMaxPatterns = 32;

  std::vector<std::string> patterns;
  std::int64_t expires = 0;
  bool plays = false;
  bool publishes = false;

  bool allows(AccessAction action) const {
    return action == AccessAction::Publish ? publishes : plays;
  }
  bool covers(std::string_view name) const;
};

// What a token says that one of the keys has signed, at `now` (seconds since 1970). Refusals:
// BadToken, Expired (also: not yet).
std::expected<TokenClaims, AccessRefusal> verify_token(std::string_view token, const KeySet& keys,
                                                       const TokenRules& rules, std::int64_t now);

// Whether a pattern stands for the name.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace weir
