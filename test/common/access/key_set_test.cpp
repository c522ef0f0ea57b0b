#include "common/access/key_set.h"

#include <catch2/catch.hpp>

#include "test/support/tokens.h"

using namespace weir;
using namespace weir::test;

namespace {

std::string outcome(const std::string& keys) {
  const auto set = KeySet::parse(R"({"keys":[)" + keys + "]}");
  return set ? std::to_string(set->size()) : set.error().text;
}

std::string secret(std::size_t size, const std::string& more = "") {
  return R"({"kty":"oct","k":")" + base64(std::string(size, 'k')) + "\"" + more + "}";
}

}  // namespace

TEST_CASE("keys that are for something else are left out of a set", "[access]") {
  CHECK(outcome(secret(32)) == "1");
  CHECK(outcome(secret(32) + "," + secret(32, R"(,"use":"enc")")) == "1");
  CHECK(outcome(secret(32) + "," + secret(64, R"(,"alg":"HS512")")) == "1");
  CHECK(outcome(secret(32) + R"(,{"kty":"OKP","crv":"Ed25519","x":"AA"})") == "1");
  CHECK(outcome(R"({"kty":"OKP"})") == "no key for HS256, RS256 or ES256");
}

TEST_CASE("keys too weak for their algorithm are mistakes", "[access]") {
  CHECK(outcome(secret(31)).find("at least 32 bytes") != std::string::npos);
  CHECK(outcome(TokenKey::rsa("weak", 1024).jwk()).find("2048") != std::string::npos);
  CHECK(outcome(TokenKey::rsa("strong", 2048).jwk()) == "1");
  CHECK(outcome(R"({"kty":"RSA","n":"","e":""})").find("RSA") != std::string::npos);
  const std::string point = R"({"kty":"EC","crv":"P-256","x":")" + base64(std::string(32, 'x')) +
                            R"(","y":")" + base64(std::string(32, 'y')) + "\"}";
  CHECK(outcome(point).find("P-256") != std::string::npos);
}

TEST_CASE("a key set is bounded and is JSON", "[access]") {
  std::string many = secret(32);
  for (std::size_t i = 1; i < KeySet::kMaxKeys; ++i) many += "," + secret(32);
  CHECK(outcome(many) == "64");
  CHECK(outcome(many + "," + secret(32)) == "more than 64 keys");
  CHECK_FALSE(KeySet::parse(std::string(KeySet::kMaxText + 1, ' ')));
  for (const char* bad :
       {"", "[]", "{}", "{\"keys\":1}", "{\"keys\":[1]}", "nonsense", "{\"keys\":["})
    CHECK_FALSE(KeySet::parse(bad));
}

TEST_CASE("base64url has one text for each bytes", "[access]") {
  for (std::size_t size = 0; size < 10; ++size) {
    const std::string bytes(size, '\xfb');
    const auto back = base64url_decode(base64(bytes));
    REQUIRE(back);
    CHECK(as_text(*back) == bytes);
  }
  CHECK(base64(std::string("\xff\xef", 2)) == "_-8");
  for (const char* bad : {"A", "AB=", "A+", "A/", "AAAAA", "AB", "A A"})
    CHECK_FALSE(base64url_decode(bad));
}
