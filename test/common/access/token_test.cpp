#include "common/access/token.h"

#include <catch2/catch.hpp>

#include "test/support/tokens.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::int64_t kNow = 1'000'000;
const std::string kSecret(32, 's');
const std::string kGood = R"({"exp":1000100,"stream":"/live/cam"})";

std::string verdict(const std::string& token, const KeySet& keys, const TokenRules& rules = {}) {
  const auto claims = verify_token(token, keys, rules, kNow);
  return claims ? "good" : std::string(name(claims.error().reason));
}

}  // namespace

TEST_CASE("a token of each algorithm is taken with its own key and no other", "[access]") {
  const auto secret = TokenKey::secret(kSecret, "s"), other = TokenKey::secret(kSecret + "x", "s");
  const auto rsa = TokenKey::rsa("r"), ec = TokenKey::elliptic("e");
  const KeySet keys = key_set(secret, rsa, ec);
  CHECK(keys.size() == 3);
  for (const auto* key : {&secret, &rsa, &ec}) CHECK(verdict(key->token(kGood), keys) == "good");
  CHECK(verdict(other.token(kGood), keys) == "bad_token");
  CHECK(verdict(TokenKey::rsa("r").token(kGood), keys) == "bad_token");
  CHECK(verdict(TokenKey::elliptic("e").token(kGood), keys) == "bad_token");
}

TEST_CASE("a key id chooses among keys, and without one all of the algorithm may do", "[access]") {
  const auto one = TokenKey::secret(kSecret, "one"), two = TokenKey::secret(kSecret + "2", "two");
  const KeySet keys = key_set(one, two);
  CHECK(verdict(two.token_with(R"({"alg":"HS256"})", kGood), keys) == "good");
  CHECK(verdict(two.token_with(R"({"alg":"HS256","kid":"two"})", kGood), keys) == "good");
  CHECK(verdict(two.token_with(R"({"alg":"HS256","kid":"one"})", kGood), keys) == "bad_token");
  CHECK(verdict(two.token_with(R"({"alg":"HS256","kid":"3"})", kGood), keys) == "bad_token");
}

TEST_CASE("the algorithm is the key's and never what a token likes", "[access]") {
  const auto rsa = TokenKey::rsa("r");
  const KeySet keys = key_set(rsa);
  // The public key's own bytes, passed off as a secret.
  const auto forged = TokenKey::secret(rsa.jwk(), "r");
  CHECK(verdict(forged.token(kGood), keys) == "bad_token");
  for (const char* alg : {"none", "None", "", "HS512", "RS512", "PS256", "hs256"}) {
    const std::string head = fmt::format(R"({{"alg":"{}"}})", alg);
    CHECK(verdict(rsa.token_with(head, kGood), keys) == "bad_token");
    CHECK(verdict(base64(head) + "." + base64(kGood) + ".", keys) == "bad_token");
  }
  CHECK(verdict(rsa.token_with(R"({"alg":"RS256","crit":["x"],"x":1})", kGood), keys) ==
        "bad_token");
}

TEST_CASE("a token holds from its begin to its end, give or take the leeway", "[access]") {
  const auto key = TokenKey::secret(kSecret, "k");
  const KeySet keys = key_set(key);
  const auto at = [&](const std::string& times, std::int64_t leeway = 0) {
    return verdict(key.token("{" + times + R"(,"stream":"*"})"), keys, {.leeway = leeway});
  };
  CHECK(at(R"("exp":1000001)") == "good");
  CHECK(at(R"("exp":1000001.5)") == "good");
  CHECK(at(R"("exp":1000000)") == "expired");
  CHECK(at(R"("exp":1000000)", 1) == "good");
  CHECK(at(R"("exp":999995)", 5) == "expired");
  CHECK(at(R"("exp":1000001,"nbf":1000000)") == "good");
  CHECK(at(R"("exp":1000001,"nbf":1000001)") == "expired");
  CHECK(at(R"("exp":1000001,"nbf":1000001)", 1) == "good");
  CHECK(at(R"("nbf":1)") == "bad_token");
  for (const char* end : {"-1", "1e300", "true", "null", R"("1000001")", "[1000001]", "1e12"})
    CHECK(at(fmt::format(R"("exp":{})", end)) ==
          (end == std::string("1e12") ? "good" : "bad_token"));
}

TEST_CASE("audience and issuer are asked for when they are set", "[access]") {
  const auto key = TokenKey::secret(kSecret, "k");
  const KeySet keys = key_set(key);
  const auto with = [&](const std::string& claims, const TokenRules& rules) {
    return verdict(key.token(R"({"exp":1000100,"stream":"*",)" + claims + "}"), keys, rules);
  };
  CHECK(with(R"("aud":"weir")", {.audience = "weir"}) == "good");
  CHECK(with(R"("aud":["a","weir"])", {.audience = "weir"}) == "good");
  CHECK(with(R"("aud":"other")", {.audience = "weir"}) == "bad_token");
  CHECK(with(R"("aud":{"weir":1})", {.audience = "weir"}) == "bad_token");
  CHECK(with(R"("x":1)", {.audience = "weir"}) == "bad_token");
  CHECK(with(R"("iss":"me")", {.issuer = "me"}) == "good");
  CHECK(with(R"("iss":"you")", {.issuer = "me"}) == "bad_token");
}

TEST_CASE("a token says for which streams and actions it is", "[access]") {
  const auto key = TokenKey::secret(kSecret, "k");
  const KeySet keys = key_set(key);
  const auto claims = [&](const std::string& more) {
    return verify_token(key.token(R"({"exp":1000100,)" + more + "}"), keys, {}, kNow);
  };
  const auto plain = claims(R"("stream":"live/*")");
  REQUIRE(plain);
  CHECK(plain->covers("/live/cam"));
  CHECK_FALSE(plain->covers("/other/cam"));
  CHECK_FALSE(plain->covers("a.org/live/cam"));
  CHECK((plain->allows(AccessAction::Play) && !plain->allows(AccessAction::Publish)));
  const auto lists = claims(R"("stream":["/a/b","a.org/*"],"action":["publish"])");
  REQUIRE(lists);
  CHECK((lists->covers("/a/b") && lists->covers("a.org/live/cam") && !lists->covers("/a/bc")));
  CHECK((!lists->allows(AccessAction::Play) && lists->allows(AccessAction::Publish)));
  CHECK(claims(R"("sub":"/live/cam")")->covers("/live/cam"));
  CHECK_FALSE(claims(R"("sub":"*","stream":"/live/cam")")->covers("/live/other"));
  CHECK_FALSE(claims(R"("x":1)"));
  CHECK_FALSE(claims(R"("stream":[])"));
  CHECK_FALSE(claims(R"("stream":[1])"));
  CHECK_FALSE(claims(R"("stream":"*","action":1)"));
}

TEST_CASE("patterns are bounded in number and tokens in size", "[access]") {
  const auto key = TokenKey::secret(kSecret, "k");
  const KeySet keys = key_set(key);
  const auto with = [&](std::size_t count) {
    std::string list = R"("/a/b")";
    for (std::size_t i = 1; i < count; ++i) list += R"(,"/a/b")";
    return verdict(key.token(R"({"exp":1000100,"stream":[)" + list + "]}"), keys);
  };
  CHECK(with(TokenClaims::kMaxPatterns) == "good");
  CHECK(with(TokenClaims::kMaxPatterns + 1) == "bad_token");
  std::string filling(kMaxToken, 'x');
  std::string token;
  do {
    filling.pop_back();
    token = key.token(R"({"exp":1000100,"stream":"*","x":")" + filling + R"("})");
  } while (token.size() > kMaxToken);
  CHECK(verdict(token, keys) == "good");
  filling += "xxxx";
  token = key.token(R"({"exp":1000100,"stream":"*","x":")" + filling + R"("})");
  CHECK((token.size() > kMaxToken && verdict(token, keys) == "bad_token"));
}

TEST_CASE("what is no token is refused and nothing else happens", "[access]") {
  const auto key = TokenKey::secret(kSecret, "k");
  const KeySet keys = key_set(key);
  const std::string good = key.token(kGood);
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a.b"), good + ".",
        good + "A", good.substr(0, good.size() - 1), "." + good, good + "=",
        base64("[]") + good.substr(good.find('.')), std::string(100, '.'), key.token("[1]"),
        key.token("{"), key.token(std::string(500, '['))})
    CHECK(verdict(bad, keys) == "bad_token");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = flipped[i] == 'A' ? 'B' : 'A';
    if (flipped != good) CHECK(verdict(flipped, keys) == "bad_token");
  }
}

TEST_CASE("a star stands for any characters, however many stars there are", "[access]") {
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("/live/*", "/live/a/b"));
  CHECK(matches_pattern("*/cam", "a.org/live/cam"));
  CHECK(matches_pattern("/l*e/c*m", "/live/cam"));
  CHECK_FALSE(matches_pattern("/live/*", "/live"));
  CHECK_FALSE(matches_pattern("/live/cam", "/live/cam2"));
  CHECK_FALSE(matches_pattern("", "x"));
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 200; ++i) text += "*a";
    return text;
  }();
  CHECK_FALSE(matches_pattern(many, std::string(4000, 'a') + "b"));
}
