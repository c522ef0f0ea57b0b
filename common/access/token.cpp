#include "common/access/token.h"

#include <Poco/JSON/Array.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>

#include "common/json_object.h"

namespace weir {

namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr double kLatest = 1e12;  // of a NumericDate: the year 33658

std::unexpected<AccessRefusal> bad(const char* why) { return refuse(AccessReason::BadToken, why); }

// Null when it is none.
Object::Ptr object_in(std::string_view base64) {
  const auto bytes = base64url_decode(base64);
  if (!bytes) return nullptr;
  return parse_json_object(as_text(*bytes)).value_or(nullptr);
}

// A text, or the texts of a list; nothing for anything else.
std::optional<std::vector<std::string>> texts_of(const Object& object, const char* field) {
  const Var value = object.get(field);
  std::vector<std::string> texts;
  if (value.isString()) {
    texts.push_back(value.extract<std::string>());
    return texts;
  }
  if (value.type() != typeid(Array::Ptr)) return std::nullopt;
  const auto list = value.extract<Array::Ptr>();
  if (list->size() > TokenClaims::kMaxPatterns) return std::nullopt;
  for (const Var& one : *list) {
    if (!one.isString()) return std::nullopt;
    texts.push_back(one.extract<std::string>());
  }
  return texts;
}

// RFC 7519 2: seconds, perhaps with a fraction.
std::optional<std::int64_t> date_of(const Object& object, const char* field) {
  const Var value = object.get(field);
  if (value.isEmpty() || !value.isNumeric() || value.isBoolean()) return std::nullopt;
  try {
    const double seconds = value.convert<double>();
    if (!std::isfinite(seconds) || seconds < 0 || seconds > kLatest) return std::nullopt;
    return static_cast<std::int64_t>(seconds);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::optional<KeySet::Algorithm> algorithm_named(std::string_view name) {
  if (name == "HS256") return KeySet::Algorithm::Hs256;
  if (name == "RS256") return KeySet::Algorithm::Rs256;
  if (name == "ES256") return KeySet::Algorithm::Es256;
  return std::nullopt;
}

bool has(const std::optional<std::vector<std::string>>& texts, std::string_view wanted) {
  return texts && std::ranges::find(*texts, wanted) != texts->end();
}

std::expected<TokenClaims, AccessRefusal> claims_of(const Object& body, const TokenRules& rules,
                                                    std::int64_t now) {
  const auto expires = date_of(body, "exp");
  if (!expires) return bad("a token without the time of its end");
  if (*expires + rules.leeway <= now) return refuse(AccessReason::Expired, "the token has expired");
  if (body.has("nbf")) {
    const auto begins = date_of(body, "nbf");
    if (!begins) return bad("a token with a begin that is no time");
    if (*begins - rules.leeway > now)
      return refuse(AccessReason::Expired, "the token is not valid yet");
  }
  if (!rules.audience.empty() && !has(texts_of(body, "aud"), rules.audience))
    return bad("a token for another audience");
  if (!rules.issuer.empty() && text_in(body, "iss") != rules.issuer)
    return bad("a token of another issuer");
  TokenClaims claims{.patterns = {}, .expires = *expires + rules.leeway};
  auto patterns = texts_of(body, body.has("stream") ? "stream" : "sub");
  if (!patterns || patterns->empty()) return bad("a token that names no stream");
  claims.patterns = std::move(*patterns);
  const auto actions = texts_of(body, "action");
  if (body.has("action") && !actions) return bad("a token whose action is none");
  claims.plays = !actions || has(actions, "play");
  claims.publishes = has(actions, "publish");
  return claims;
}

}  // namespace

bool TokenClaims::covers(std::string_view name) const {
  return std::ranges::any_of(patterns, [name](const std::string& pattern) {
    return matches_pattern(pattern, name) ||
           (name.starts_with('/') && matches_pattern(pattern, name.substr(1)));
  });
}

std::expected<TokenClaims, AccessRefusal> verify_token(std::string_view token, const KeySet& keys,
                                                       const TokenRules& rules, std::int64_t now) {
  if (token.size() > kMaxToken) return bad("a token of more than 8 KiB");
  const std::size_t first = token.find('.');
  const std::size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos)
    return bad("not a token of three parts");
  const Object::Ptr head = object_in(token.substr(0, first));
  if (head.isNull()) return bad("a token whose head is no JSON object");
  // RFC 7515 4.1.11: who does not know an extension must not take the token.
  if (head->has("crit")) return bad("a token with extensions");
  const auto algorithm = algorithm_named(text_in(*head, "alg"));
  if (!algorithm) return bad("a token signed in a way that is not taken");
  const auto signature = base64url_decode(token.substr(second + 1));
  if (!signature || signature->empty()) return bad("a token without a signature");
  if (!keys.verifies(*algorithm, text_in(*head, "kid"), token.substr(0, second), *signature))
    return bad("a token that none of the keys has signed");
  const Object::Ptr body = object_in(token.substr(first + 1, second - first - 1));
  if (body.isNull()) return bad("a token whose claims are no JSON object");
  return claims_of(*body, rules, now);
}

// Each star tries its shortest match first; only the last one seen is ever tried again, which is
// enough, so the time is bounded by the product of both lengths.
bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = pattern.npos, resumed = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resumed = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++resumed;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace weir
