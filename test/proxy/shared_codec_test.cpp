#include "proxy/shared_codec.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

const SharedRoute kRoute{"__defaultVhost__/live/cam", "o1", 0xfedcba9876543210};

Errc refused(std::string_view text) {
  const auto route = decode_route(text);
  REQUIRE_FALSE(route);
  return route.error().code;
}

std::string route_text(const std::string& stream, const std::string& upstream,
                       const std::string& generation) {
  return R"({"stream":")" + stream + R"(","upstream":")" + upstream + R"(","generation":")" +
         generation + R"("})";
}

}  // namespace

TEST_CASE("a route is read as it was written", "[shared]") {
  CHECK(decode_route(encode(kRoute)).value() == kRoute);
  const SharedRoute odd{"a.org/live/\"quoted\"\\ \xc3\xa9", "o 1", 0};
  CHECK(decode_route(encode(odd)).value() == odd);
  CHECK(encode(kRoute) == encode(decode_route(encode(kRoute)).value()));
}

TEST_CASE("fields of later versions are ignored", "[shared]") {
  const auto route = decode_route(
      R"({"later":{"a":[1]},"stream":"v/a/s","upstream":"o","generation":"ff","zone":7})");
  CHECK(route.value() == SharedRoute{"v/a/s", "o", 255});
}

TEST_CASE("what is no route is refused", "[shared]") {
  for (const auto* text : {"", "{", "[]", "7", "null", "\"text\"", "{}", R"({"stream":"a"})",
                           "\xff\xfe", R"({"stream":7,"upstream":"o","generation":"1"})",
                           R"({"stream":"v/a/s","upstream":["o"],"generation":"1"})",
                           R"({"stream":"v/a/s","upstream":"o","generation":1})"})
    CHECK(refused(text) == Errc::Protocol);
  CHECK(refused(route_text("", "o", "1")) == Errc::Protocol);
  CHECK(refused(route_text("s", "", "1")) == Errc::Protocol);
  CHECK(refused(route_text("s\\n", "o", "1")) == Errc::Protocol);
  CHECK(refused(route_text("s", "o", "")) == Errc::Protocol);
  CHECK(refused(route_text("s", "o", "0x1")) == Errc::Protocol);
  CHECK(refused(route_text("s", "o", "1 ")) == Errc::Protocol);
}

TEST_CASE("a value and the texts in it are as long as their limits and no longer", "[shared]") {
  const std::string longest(kMaxSharedText, 's');
  CHECK(decode_route(route_text(longest, "o", "0123456789abcdef")));
  CHECK(refused(route_text(longest + 's', "o", "1")) == Errc::Limit);
  CHECK(refused(route_text("s", longest + 'o', "1")) == Errc::Limit);
  CHECK(refused(route_text("s", "o", "00123456789abcdef")) == Errc::Limit);
  std::string padded = route_text("s", "o", "1");
  padded.resize(kMaxSharedValue, ' ');
  CHECK(decode_route(padded));
  CHECK(refused(padded + ' ') == Errc::Limit);
}

TEST_CASE("a value nests as deep as the limit and no deeper", "[shared]") {
  const auto with = [](std::string more) {
    return R"({"stream":"s","upstream":"o","generation":"1","more":)" + more + "}";
  };
  CHECK(decode_route(with("[[1]]")));
  CHECK(refused(with(std::string(1000, '[') + std::string(1000, ']'))) == Errc::Protocol);
}

TEST_CASE("a member is read as it was written, in the heartbeat's own form", "[shared]") {
  const auto member = parse_registration(
      R"({"ip":"fd00::5","server":"vid-1","service":"s1","pid":"7","device_id":"d",
          "rtmp":["1935","10.0.0.5:1936"],"rtc":["udp://0.0.0.0:8000"]})");
  REQUIRE(member);
  const auto again = decode_member(encode(*member));
  REQUIRE(again);
  CHECK(again->server == "vid-1");
  CHECK(again->service == "s1");
  CHECK(again->pid == "7");
  CHECK(again->device_id == "d");
  CHECK(again->host == "fd00::5");
  CHECK(again->endpoints == member->endpoints);
  CHECK(decode_member(std::string(kMaxSharedValue + 1, ' ')).error().code == Errc::Limit);
  CHECK(decode_member("{}").error().code == Errc::Protocol);
}

TEST_CASE("a note is read as it was written", "[shared]") {
  const SharedNote note{"ufrag:abcd", "{\"origin\":\"o1\"}\n\t"};
  CHECK(decode_note(encode(note)).value() == note);
  CHECK(decode_note(R"({"name":"n"})").error().code == Errc::Protocol);
}

TEST_CASE("keys tell kinds and names apart and have one length", "[shared]") {
  const auto key = shared_key("weir:", SharedKind::Route, "__defaultVhost__/live/cam");
  CHECK(key.starts_with("weir:route:"));
  CHECK(key.size() == std::string("weir:route:").size() + 32);
  CHECK(key != shared_key("weir:", SharedKind::Route, "__defaultVhost__/live/Cam"));
  // SHA-256 of "abc", as FIPS 180-2 has it.
  CHECK(shared_key("", SharedKind::Origin, "abc") == "origin:ba7816bf8f01cfea414140de5dae2223");
  CHECK(kind_of_key("weir:", key) == SharedKind::Route);
  CHECK(kind_of_key("weir:", shared_key("weir:", SharedKind::Session, "x")) == SharedKind::Session);
  CHECK_FALSE(kind_of_key("other:", key));
  CHECK_FALSE(kind_of_key("weir:", key + "0"));
  CHECK_FALSE(kind_of_key("weir:", "weir:changes"));
  CHECK_FALSE(kind_of_key("weir:", "weir:rout3:" + std::string(32, '0')));
}
