#include "edge/http_cache.h"

#include <catch2/catch.hpp>

#include "test/edge/http_cache_rig.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace std::chrono_literals;
using test::CacheRig;
using test::HttpOrigin;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string response(std::string_view headers, std::string_view body,
                     std::string_view status = "200 OK") {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

// Answers with `text` whatever is asked.
HttpOrigin::Answer always(std::string text) {
  return [text](const http::Request&, const std::string&) { return text; };
}

Task<void> ask_into(CacheRig& rig, std::string path, std::string& heard) {
  heard = co_await rig.get(std::move(path));
}

// Runs a test's body against an origin.
template <class Body>
void with(HttpOrigin::Answer answer, Body body, HttpCacheOptions options = {}) {
  Loop loop;
  auto play = [](Loop& on, HttpOrigin::Answer says, Body what, HttpCacheOptions how) -> Task<void> {
    HttpOrigin origin(on, std::move(says));
    CacheRig rig(on, origin.port(), std::move(how));
    co_await what(on, origin, rig);
    co_await test::end_all_others(on);
  };
  test::run(loop, play(loop, std::move(answer), body, std::move(options)));
}

}  // namespace

TEST_CASE("what is fresh is fetched once and told apart in Cache-Status", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/a");
    auto again = co_await rig.get("/a");
    CHECK(has(first, "\r\n\r\nhello"));
    CHECK(has(first, "Cache-Status: weir; fwd=uri-miss; stored"));
    CHECK_FALSE(has(first, "Age:"));
    CHECK(has(again, "\r\n\r\nhello"));
    CHECK(has(again, "Cache-Status: weir; hit; ttl="));
    CHECK(has(again, "Age: 0\r\n"));
    CHECK(has(again, "Content-Length: 5\r\n"));
    CHECK(origin.requests.size() == 1);
    CHECK(rig.tallies.hits.value() == 1);
  };
  with(always(response("Cache-Control: max-age=10\r\n", "hello")), body);
}

TEST_CASE("a fetch for all asks for the whole, whoever began it with what", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto part = co_await rig.get(
        "/a", "Range: bytes=1-2\r\nIf-None-Match: \"x\"\r\nX-Forwarded-Proto: https\r\n");
    CHECK(has(part, "206 Partial Content"));
    CHECK(has(part, "Content-Range: bytes 1-2/5"));
    CHECK(has(part, "\r\n\r\nel"));
    REQUIRE(origin.requests.size() == 1);
    CHECK_FALSE(origin.requests[0].headers.has("Range"));
    CHECK_FALSE(origin.requests[0].headers.has("If-None-Match"));
    for (const char* name : {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"})
      CHECK_FALSE(origin.requests[0].headers.has(name));
    CHECK(origin.requests[0].headers.find("CDN-Loop") == "weir");
  };
  with(always(response("Cache-Control: max-age=10\r\nETag: \"e\"\r\n", "hello")), body);
}

TEST_CASE("what has become stale is asked about, and good again after a 304", "[http_cache]") {
  auto answer = [](const http::Request& request, const std::string&) {
    return request.headers.has("If-None-Match")
               ? std::string("HTTP/1.1 304 Not Modified\r\nX-New: 1\r\n\r\n")
               : response("Cache-Control: max-age=0\r\nETag: \"e\"\r\n", "hello");
  };
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/a");
    auto renewed = co_await rig.get("/a");
    CHECK(has(renewed, "200 OK"));
    CHECK(has(renewed, "X-New: 1"));
    CHECK(has(renewed, "fwd=stale; fwd-status=304"));
    CHECK(has(renewed, "\r\n\r\nhello"));
    CHECK(origin.requests.size() == 2);
    CHECK(rig.tallies.validated.value() == 1);
  };
  with(answer, body);
}

TEST_CASE("the fetch of an asker who leaves goes on for the others", "[http_cache]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    // The origin's connections, and nothing said on them yet.
    std::vector<std::unique_ptr<Socket>> asked;
    auto origin = test::listen_on(
        on, [&](std::unique_ptr<Socket> socket) { asked.push_back(std::move(socket)); });
    CacheRig rig(on, origin->port());
    auto first = co_await rig.connect();
    auto sent = co_await first->write(as_bytes("GET /a HTTP/1.1\r\nHost: a.org\r\n\r\n"),
                                      on.in(test::kPatience));
    CHECK(sent);
    auto began = co_await test::comes_true(on, [&] { return asked.size() == 1; });
    REQUIRE(began);
    std::string heard;
    on.spawn(ask_into(rig, "/a", heard));
    auto joined = co_await test::comes_true(on, [&] { return rig.tallies.coalesced.value() == 1; });
    CHECK(joined);
    first.reset();
    const std::string head =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n\r\n";
    auto told = co_await asked[0]->write(as_bytes(head + "5\r\nhello\r\n"), on.in(test::kPatience));
    auto ended = co_await asked[0]->write(as_bytes("0\r\n\r\n"), on.in(test::kPatience));
    CHECK((told && ended));
    auto done = co_await test::comes_true(on, [&] { return !heard.empty(); });
    CHECK(done);
    CHECK(has(heard, "hello"));
    CHECK(has(heard, "collapsed"));
    CHECK(asked.size() == 1);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what is private goes to its asker alone, and for a while nobody waits", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      auto heard = co_await rig.get("/a", "If-None-Match: \"x\"\r\n");
      CHECK(has(heard, "\r\n\r\nmine"));
      CHECK_FALSE(has(heard, "Cache-Status"));
    }
    CHECK(origin.requests.size() == 3);
    // The first was asked for everybody, the others as their clients ask.
    CHECK_FALSE(origin.requests[0].headers.has("If-None-Match"));
    CHECK(origin.requests[1].headers.has("If-None-Match"));
    CHECK(rig.store.objects() == 0);
  };
  with(always(response("Cache-Control: private\r\n", "mine")), body);
}

TEST_CASE("what is too large to keep is passed on", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      auto heard = co_await rig.get("/a");
      CHECK(heard.ends_with(std::string(1001, 'x')));
    }
    CHECK(origin.requests.size() == 2);
    CHECK(rig.store.memory()->bytes() == 0);
  };
  HttpCacheOptions options;
  options.object_max = 1000;
  with(always(response("Cache-Control: max-age=10\r\n", std::string(1001, 'x'))), body, options);
}

TEST_CASE("what turns out too large reaches its readers and is not kept", "[http_cache]") {
  const std::string big(1'000'000, 'x');
  std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n\r\n";
  chunked += "f4240\r\n" + big + "\r\n0\r\n\r\n";
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      auto heard = co_await rig.get("/a");
      CHECK(std::ranges::count(heard.substr(heard.find("\r\n\r\n")), 'x') == 1'000'000);
      CHECK(heard.ends_with("\r\n0\r\n\r\n"));
    }
    CHECK(origin.requests.size() == 2);
    CHECK(rig.store.objects() == 0);
  };
  HttpCacheOptions options;
  options.object_max = 100'000;
  with(always(chunked), body, options);
}

TEST_CASE("a successful unsafe request outdates what it changed", "[http_cache]") {
  auto answer = [](const http::Request& request, const std::string&) {
    return request.method == "POST" ? response("Location: /b\r\n", "", "201 Created")
                                    : response("Cache-Control: max-age=10\r\n", "hello");
  };
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    for (const char* path : {"/a", "/b", "/c"}) auto heard = co_await rig.get(path);
    CHECK(rig.store.objects() == 3);
    auto posted = co_await rig.ask("POST /a HTTP/1.1\r\nContent-Length: 0\r\n");
    CHECK(has(posted, "201 Created"));
    CHECK(rig.store.objects() == 1);
    CHECK(origin.requests.size() == 4);
  };
  with(answer, body);
}

TEST_CASE("an answer from the cache alone is a hit or 504", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto nothing = co_await rig.get("/a", "Cache-Control: only-if-cached\r\n");
    CHECK(has(nothing, "504 Gateway Timeout"));
    CHECK(origin.requests.empty());
    auto fetched = co_await rig.get("/a");
    auto cached = co_await rig.get("/a", "Cache-Control: only-if-cached\r\n");
    CHECK(has(cached, "\r\n\r\nhello"));
  };
  with(always(response("Cache-Control: max-age=10\r\n", "hello")), body);
}

TEST_CASE("what must not be served stale is an error when its origin fails", "[http_cache]") {
  int asked = 0;
  auto answer = [&asked](const http::Request&, const std::string&) {
    return ++asked == 1 ? response("Cache-Control: max-age=0, stale-if-error=60\r\n", "good")
                        : response("", "bad", "503 Service Unavailable");
  };
  auto body = [](Loop&, HttpOrigin&, CacheRig& rig) -> Task<void> {
    auto first = co_await rig.get("/a");
    auto hidden = co_await rig.get("/a");
    CHECK(has(hidden, "\r\n\r\ngood"));
    CHECK(rig.tallies.stale.value() == 1);
    rig.store.purge("a.org/a");
    auto bare = co_await rig.get("/a");
    CHECK(has(bare, "503 Service Unavailable"));
  };
  with(answer, body);
}

TEST_CASE("PURGE wants the operator's token", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto fetched = co_await rig.get("/live/a");
    for (const char* wrong : {"", "Authorization: Bearer secre\r\n", "Authorization: secret\r\n"}) {
      auto refused = co_await rig.ask("PURGE /live/a HTTP/1.1\r\n" + std::string(wrong));
      CHECK(has(refused, "403 Forbidden"));
    }
    CHECK(rig.store.objects() == 1);
    auto done = co_await rig.ask("PURGE /live/* HTTP/1.1\r\nAuthorization: bearer secret\r\n");
    CHECK(has(done, "200 OK"));
    CHECK(rig.store.objects() == 0);
    CHECK(origin.requests.size() == 1);
  };
  HttpCacheOptions options;
  options.purge_token = "secret";
  with(always(response("Cache-Control: max-age=10\r\n", "hello")), body, options);
}

TEST_CASE("a path that climbs is refused, and so is a request that came back", "[http_cache]") {
  auto body = [](Loop&, HttpOrigin& origin, CacheRig& rig) -> Task<void> {
    auto climbing = co_await rig.get("/live/%2e%2e/x");
    CHECK(has(climbing, "400 Bad Request"));
    auto loop = co_await rig.get("/a", "CDN-Loop: weir\r\n");
    CHECK(has(loop, "508 Loop Detected"));
    CHECK(origin.requests.empty());
    CHECK(rig.store.fills() == 0);
  };
  with(always(response("", "")), body);
}
