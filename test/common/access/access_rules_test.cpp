#include "common/access/access_rules.h"

#include <catch2/catch.hpp>

#include "test/support/tokens.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::int64_t kNow = 1'000'000;
const std::string kSecret = "a secret of the operator";

AccessRequest asks(AccessAction action, const std::string& query = "",
                   const std::string& peer = "192.0.2.7") {
  return {.action = action,
          .key = "__defaultVhost__/live/cam",
          .names = {"/live/cam"},
          .peer = *Address::parse(peer, 4000),
          .query = query};
}

std::string verdict(const AccessRules& rules, const AccessRequest& request) {
  const auto granted = rules.judge(request, kNow);
  return granted ? "yes" : std::string(name(granted.error().reason));
}

std::string signed_query(const std::string& secret, AccessAction action, const std::string& name,
                         std::int64_t expires) {
  return fmt::format("expires={}&sig={}", expires, url_signature(secret, action, name, expires));
}

}  // namespace

TEST_CASE("addresses are let in by the one list and kept out by the other", "[access]") {
  AccessRules rules;
  CHECK_FALSE(rules.play.restricts());
  rules.publish.allow = *CidrList::parse("192.0.2.0/24");
  rules.publish.deny = *CidrList::parse("192.0.2.128/25, 2001:db8::/32");
  rules.play.deny = *CidrList::parse("192.0.2.7");
  CHECK(rules.publish.restricts());
  CHECK(verdict(rules, asks(AccessAction::Publish, "", "192.0.2.127")) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Publish, "", "::ffff:192.0.2.127")) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Publish, "", "192.0.2.128")) == "address");
  CHECK(verdict(rules, asks(AccessAction::Publish, "", "192.0.3.1")) == "address");
  CHECK(verdict(rules, asks(AccessAction::Publish, "", "2001:db8::1")) == "address");
  CHECK(verdict(rules, asks(AccessAction::Play)) == "address");
  CHECK(verdict(rules, asks(AccessAction::Play, "", "192.0.2.8")) == "yes");
}

TEST_CASE("a signature is for one stream, one action and one time", "[access]") {
  AccessRules rules;
  rules.play.show = rules.publish.show = AccessRules::Show::Signature;
  rules.secrets = {kSecret};
  const auto query = signed_query(kSecret, AccessAction::Play, "/live/cam", kNow + 1);
  CHECK(verdict(rules, asks(AccessAction::Play, query)) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Play, "a=b&" + query + "&c=d")) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Publish, query)) == "bad_token");
  AccessRequest other = asks(AccessAction::Play, query);
  other.names = {"/live/cam2"};
  CHECK(verdict(rules, other) == "bad_token");
  other.names = {"/live/cam/segment", "/live/cam"};
  CHECK(verdict(rules, other) == "yes");
  CHECK(rules.judge(other, kNow)->names == std::vector<std::string>{"/live/cam"});
  CHECK(verdict(rules, asks(AccessAction::Play, signed_query(kSecret, AccessAction::Play,
                                                             "/live/cam", kNow))) == "expired");
  CHECK(verdict(rules, asks(AccessAction::Play)) == "no_token");
  CHECK(verdict(rules, asks(AccessAction::Play, "expires=1000001")) == "bad_token");
  CHECK(verdict(rules, asks(AccessAction::Play, query + "0")) == "bad_token");
  std::string longer = query;
  longer.replace(0, 15, "expires=1000009");
  CHECK(verdict(rules, asks(AccessAction::Play, longer)) == "bad_token");
}

TEST_CASE("signatures of both secrets are taken while they change", "[access]") {
  AccessRules rules;
  rules.play.show = AccessRules::Show::Signature;
  rules.secrets = {"the new secret of ours", kSecret};
  for (const auto& secret : rules.secrets)
    CHECK(verdict(rules, asks(AccessAction::Play, signed_query(secret, AccessAction::Play,
                                                               "/live/cam", kNow + 5))) == "yes");
  CHECK(verdict(rules,
                asks(AccessAction::Play, signed_query("an older secret of ours", AccessAction::Play,
                                                      "/live/cam", kNow + 5))) == "bad_token");
}

TEST_CASE("a signature is what openssl says it is", "[access]") {
  // printf 'play /live/cam?expires=1767225600' | openssl dgst -sha256 -hmac 0123456789abcdef
  CHECK(url_signature("0123456789abcdef", AccessAction::Play, "/live/cam", 1767225600) ==
        "94a7ad58628623425334170526c0324892bf5227cc03ace391fc10d1a640809f");
}

TEST_CASE("an end is digits and nothing else", "[access]") {
  CHECK(parse_expiry("999999999999") == 999'999'999'999);
  for (const char* bad : {"", "1000000000000", "-1", "+1", "1 ", "0x10", "1.5"})
    CHECK_FALSE(parse_expiry(bad));
}

TEST_CASE("a token comes in the header or as an argument, the header first", "[access]") {
  const auto key = TokenKey::secret(std::string(32, 's'), "k");
  AccessRules rules;
  rules.publish.show = AccessRules::Show::Token;
  rules.keys = std::make_shared<const KeySet>(key_set(key));
  const std::string publish = R"({"exp":1000100,"stream":"/live/*","action":"publish"})";
  const std::string play = R"({"exp":1000100,"stream":"/live/*"})";
  AccessRequest request = asks(AccessAction::Publish, "token=" + key.token(publish));
  CHECK(verdict(rules, request) == "yes");
  request.authorization = "bearer " + key.token(play);
  CHECK(verdict(rules, request) == "other_stream");
  request.authorization = "Basic abc";
  CHECK(verdict(rules, request) == "yes");
  request.names = {"/other/cam"};
  CHECK(verdict(rules, request) == "other_stream");
  request.query.clear();
  CHECK(verdict(rules, request) == "no_token");
  rules.keys = nullptr;
  CHECK(verdict(rules, asks(AccessAction::Publish, "token=x")) == "bad_token");
}

TEST_CASE("where either is taken, one good one is enough", "[access]") {
  const auto key = TokenKey::secret(std::string(32, 's'), "k");
  AccessRules rules;
  rules.play.show = AccessRules::Show::Either;
  rules.secrets = {kSecret};
  rules.keys = std::make_shared<const KeySet>(key_set(key));
  const std::string token = "token=" + key.token(R"({"exp":1000100,"stream":"*"})");
  const auto query = signed_query(kSecret, AccessAction::Play, "/live/cam", kNow + 1);
  CHECK(verdict(rules, asks(AccessAction::Play, query)) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Play, token)) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Play, "sig=0&expires=1&" + token)) == "yes");
  CHECK(verdict(rules, asks(AccessAction::Play, "sig=0&expires=1")) == "bad_token");
  CHECK(verdict(rules, asks(AccessAction::Play)) == "no_token");
}
