// An edge that stands before several origins: its playlists name them, and what they lead to comes from there.
#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

#include "test/edge/http_cache_rig.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace std::chrono_literals;
using test::CacheRig;
using test::HttpOrigin;

namespace {

constexpr std::string_view kPlaylist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n7.ts\n";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string body_of(const std::string& heard) { return heard.substr(heard.find("\r\n\r\n") + 4); }

std::string ok(std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", headers, body.size(),
                     body);
}

// A playlist of that text, and segments that say who had them.
HttpOrigin::Answer origin_of(std::string_view who, std::string_view playlist = kPlaylist,
                             std::string_view headers = "") {
  return [=](const http::Request& request, const std::string&) -> std::string {
    if (!names_playlist(request.target)) return ok(who);
    if (request.headers.find("If-None-Match") == "\"e\"")
      return "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n";
    return ok(playlist, headers);
  };
}

std::string id_of(const HttpOrigin& origin) { return fmt::format("o{}", origin.port()); }
std::string token(const HttpOrigin& origin) { return origin_token(id_of(origin)); }

// Runs a test's body with an edge before two origins, the first of which has the streams.
template <class Body>
void with(HttpOrigin::Answer one, HttpOrigin::Answer two, Body body) {
  Loop loop;
  auto play = [](Loop& on, HttpOrigin::Answer first, HttpOrigin::Answer second,
                 Body what) -> Task<void> {
    const test::QuietLog quiet;
    HttpOrigin a(on, std::move(first));
    HttpOrigin b(on, std::move(second));
    HttpRelayOptions options;
    options.naming = OriginNaming::among(std::vector{id_of(a), id_of(b)});
    CacheRig rig(on, std::vector<test::HttpRig::Origin>{{a.port(), 1}, {b.port(), 0}}, {},
                 1024 * 1024, options);
    co_await what(on, a, b, rig);
    co_await test::end_all_others(on);
  };
  test::run(loop, play(loop, std::move(one), std::move(two), body));
}

}  // namespace

TEST_CASE("an edge's playlist names its origin, and its segments come from there",
          "[http_naming]") {
  auto body = [](Loop&, HttpOrigin& a, HttpOrigin& b, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/live/a.m3u8");
    auto again = co_await rig.get("/live/a.m3u8");
    for (const std::string& heard : {first, again}) {
      CHECK(has(heard, "\n7.ts?weir_o=" + token(a) + "\n"));
      CHECK(has(heard, fmt::format("ETag: W/\"e.weir-{}\"\r\n", token(a))));
      CHECK_FALSE(has(heard, "Last-Modified"));
    }
    CHECK(has(again, "; hit"));
    CHECK(a.requests.size() == 1);
    for (const HttpOrigin* origin : {&b, &a, &b}) {
      auto segment = co_await rig.get("/live/7.ts?weir_o=" + token(*origin));
      CHECK(body_of(segment) == (origin == &a ? "one" : "two"));
    }
    REQUIRE(b.requests.size() == 1);
    CHECK(b.requests[0].target == "/live/7.ts");
  };
  with(origin_of("one", kPlaylist, "ETag: \"e\"\r\nLast-Modified: x\r\n"), origin_of("two"), body);
}

TEST_CASE("a named playlist is asked about with its origin's own tag", "[http_naming]") {
  auto body = [](Loop&, HttpOrigin& a, HttpOrigin&, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\n");
    auto again = co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\n");
    CHECK(body_of(again) == body_of(first));
    CHECK(has(again, "fwd-status=304"));
    CHECK(has(again, fmt::format("ETag: W/\"e.weir-{}\"\r\n", token(a))));
    REQUIRE(a.requests.size() == 2);
    CHECK(a.requests[1].headers.find("If-None-Match") == "\"e\"");
    CHECK_FALSE(a.requests[0].headers.has("Accept-Encoding"));
  };
  with(origin_of("one", kPlaylist, "ETag: \"e\"\r\nCache-Control: no-cache\r\n"), origin_of("two"),
       body);
}

TEST_CASE("what another tier has named is left as it is, and its tokens are passed on",
          "[http_naming]") {
  static constexpr std::string_view kNamed = "#EXTM3U\n#EXTINF:4,\n7.ts?weir_o=far\n";
  auto body = [](Loop&, HttpOrigin& a, HttpOrigin&, CacheRig& rig) -> Task<void> {
    auto heard = co_await rig.get("/live/a.m3u8");
    CHECK(body_of(heard) == kNamed);
    CHECK(has(heard, "ETag: W/\"e.weir-far\"\r\nLast-Modified: x\r\n"));
    auto segment = co_await rig.get("/live/7.ts?weir_o=far");
    CHECK(body_of(segment) == "one");
    REQUIRE(a.requests.size() == 2);
    CHECK(a.requests[1].target == "/live/7.ts?weir_o=far");
    auto head = co_await rig.ask("HEAD /live/b.m3u8 HTTP/1.1\r\n");
    CHECK(has(head, "ETag: W/\"e.weir-far\"\r\n"));
  };
  with(origin_of("one", kNamed, "ETag: W/\"e.weir-far\"\r\nLast-Modified: x\r\n"), origin_of("two"),
       body);
}

TEST_CASE("a private playlist is named for its asker alone", "[http_naming]") {
  auto body = [](Loop&, HttpOrigin& a, HttpOrigin&, CacheRig& rig) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      auto heard = co_await rig.get("/live/a.m3u8");
      CHECK(has(heard, "\n7.ts?weir_o=" + token(a) + "\n"));
      CHECK(has(heard, "Set-Cookie: s=1"));
    }
    CHECK(a.requests.size() == 2);
  };
  with(origin_of("one", kPlaylist, "Set-Cookie: s=1\r\n"), origin_of("two"), body);
}

TEST_CASE("a playlist that comes encoded is kept as it came, in all ways of asking",
          "[http_naming]") {
  static constexpr std::string_view kZipped = "\x1f\x8b not text";
  auto body = [](Loop&, HttpOrigin& a, HttpOrigin&, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\n");
    auto whole = co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\n");
    CHECK(body_of(first) == kZipped);
    CHECK(body_of(whole) == kZipped);
    CHECK(has(whole, "; hit"));
    CHECK(has(whole, "Content-Encoding: gzip\r\n"));
    auto part = co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\nRange: bytes=1-3\r\n");
    CHECK(has(part, "206 Partial Content"));
    CHECK(body_of(part) == kZipped.substr(1, 3));
    auto same =
        co_await rig.get("/live/a.m3u8", "Accept-Encoding: gzip\r\nIf-None-Match: \"zip\"\r\n");
    CHECK(same.starts_with("HTTP/1.1 304 "));
    CHECK(a.requests.size() == 1);
    // Another who does not take it asks anew.
    auto plain = co_await rig.get("/live/a.m3u8");
    CHECK(a.requests.size() == 2);
  };
  with(origin_of("one", kZipped,
                 "Content-Encoding: gzip\r\nETag: \"zip\"\r\nVary: Accept-Encoding\r\n"
                 "Cache-Control: max-age=10\r\n"),
       origin_of("two"), body);
}

TEST_CASE("a segment whose origin is gone is not found at the edge either", "[http_naming]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const test::QuietLog quiet;
    const test::RefusingPort dead;
    HttpOrigin origin(on, origin_of("one"));
    const std::vector ids{id_of(origin), fmt::format("o{}", dead.port())};
    HttpRelayOptions options;
    options.naming = OriginNaming::among(ids);
    CacheRig rig(on, std::vector<test::HttpRig::Origin>{{origin.port(), 1}, {dead.port(), 0}}, {},
                 1024 * 1024, options);
    auto heard = co_await rig.get("/live/7.ts?weir_o=" + origin_token(ids[1]));
    CHECK(heard.starts_with("HTTP/1.1 404 "));
    CHECK(origin.requests.empty());
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}
