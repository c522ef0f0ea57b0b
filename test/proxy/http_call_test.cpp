// Whom a request is asked of when the one that was asked first does not have it, or cannot be found.
#include "proxy/http_call.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <catch2/catch.hpp>

#include "test/proxy/http_relay_rig.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace std::chrono_literals;
using test::HttpOrigin;
using test::HttpRig;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string get(std::string_view target, std::string_view method = "GET") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: a.org\r\nConnection: close\r\n\r\n", method, target);
}

HttpOrigin::Answer always(std::string text) {
  return [text](const http::Request&, const std::string&) { return text; };
}

HttpOrigin::Answer lacks(std::string_view who) {
  return always(
      fmt::format("HTTP/1.1 404 Not Found\r\nX-Who: {}\r\nContent-Length: 4\r\n\r\nnone", who));
}

const auto kHas = always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");

// Asked in this order.
struct Three {
  Three(Loop& loop, HttpOrigin::Answer a, HttpOrigin::Answer b, HttpOrigin::Answer c,
        HttpRelayOptions options = {})
      : first(loop, std::move(a)),
        second(loop, std::move(b)),
        third(loop, std::move(c)),
        rig(loop, {{first.port(), 1}, {second.port(), 0}, {third.port(), 0}}, std::move(options)) {}
  std::array<std::size_t, 3> asked() const {
    return {first.requests.size(), second.requests.size(), third.requests.size()};
  }
  HttpOrigin first, second, third;
  HttpRig rig;
};

// Runs a test's body with such origins.
template <class Body>
void with(HttpOrigin::Answer a, HttpOrigin::Answer b, HttpOrigin::Answer c, Body body,
          HttpRelayOptions options = {}) {
  Loop loop;
  auto play = [](Loop& on, std::array<HttpOrigin::Answer, 3> says, Body what,
                 HttpRelayOptions how) -> Task<void> {
    const test::QuietLog quiet;
    Three three(on, says[0], says[1], says[2], how);
    co_await what(on, three);
    co_await test::end_all_others(on);
  };
  test::run(loop, play(loop, {a, b, c}, body, options));
}

}  // namespace

TEST_CASE("what the guessed origin lacks is asked for elsewhere, and the stream's route corrected",
          "[http_call]") {
  for (const char* target : {"/hls/a.m3u8", "/live/a.flv?x", "/hls/7.ts", "/dash/a.mpd"}) {
    auto body = [target](Loop&, Three& three) -> Task<void> {
      auto heard = co_await three.rig.talk(get(target));
      CHECK(heard.starts_with("HTTP/1.1 200 "));
      // A weight of 0 leaves the order of the others open.
      const std::size_t tried = three.asked()[1] + three.asked()[2];
      CHECK(three.asked()[0] == 1);
      CHECK(tried >= 1);
      auto again = co_await three.rig.talk(get(target, "HEAD"));
      CHECK(again.starts_with("HTTP/1.1 200 "));
      CHECK(three.asked()[0] == 1);
    };
    with(lacks("one"), kHas, kHas, body);
  }
}

TEST_CASE("when nobody has it the first answer is passed on as it was", "[http_call]") {
  auto body = [](Loop&, Three& three) -> Task<void> {
    auto heard = co_await three.rig.talk(get("/hls/a.m3u8"));
    CHECK(heard ==
          "HTTP/1.1 404 Not Found\r\nX-Who: one\r\nContent-Length: 4\r\n"
          "Connection: close\r\n\r\nnone");
    CHECK(three.asked() == std::array{1UZ, 1UZ, 1UZ});
    CHECK(three.rig.failures.value() == 0);
    // It stays the one to ask first.
    auto again = co_await three.rig.talk(get("/hls/a.m3u8"));
    CHECK(has(again, "X-Who: one"));
  };
  with(lacks("one"), lacks("two"), always("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), body);
}

TEST_CASE("no more origins are asked for what is missing than for what fails", "[http_call]") {
  HttpRelayOptions options;
  options.dial.max_tries = 2;
  auto body = [](Loop&, Three& three) -> Task<void> {
    auto heard = co_await three.rig.talk(get("/hls/a.m3u8"));
    CHECK(has(heard, "X-Who: one"));
    CHECK(three.asked()[1] + three.asked()[2] == 1);
  };
  with(lacks("one"), lacks("two"), lacks("three"), body, options);
}

TEST_CASE("a 404 is the answer to what changes something, to other files and to named requests",
          "[http_call]") {
  HttpRelayOptions options;
  options.naming.on = true;
  auto body = [](Loop&, Three& three) -> Task<void> {
    const std::string token = origin_token(fmt::format("o{}", three.first.port()));
    for (const std::string& request :
         {get("/live/a.m3u8", "DELETE"), get("/a.html"), get("/live/a"), get("/"),
          get("/live/7.ts?weir_o=" + token), get("/live/7.ts", "OPTIONS"),
          std::string("POST /live/a.flv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: 2\r\n\r\nhi")}) {
      INFO(request);
      auto heard = co_await three.rig.talk(request);
      CHECK(has(heard, "X-Who: one"));
    }
    CHECK(three.asked() == std::array{7UZ, 0UZ, 0UZ});
  };
  with(lacks("one"), kHas, kHas, body, options);
}

TEST_CASE("a 404 is the answer of an origin where the stream has viewers", "[http_call]") {
  auto live = [](const http::Request& request, const std::string&) -> std::string {
    if (request.target == "/live/a.flv") return "HTTP/1.1 200 OK\r\n\r\nFLV";
    return "HTTP/1.1 404 Not Found\r\nX-Who: one\r\nContent-Length: 0\r\n\r\n";
  };
  Loop loop;
  auto body = [](Loop& on, HttpOrigin::Answer says) -> Task<void> {
    HttpOrigin first(on, says, HttpOrigin::Then::Hold);
    HttpOrigin second(on, kHas);
    HttpRig rig(on, {{first.port(), 1}, {second.port(), 0}});
    auto viewer = co_await rig.connect();
    const std::string request = "GET /live/a.flv HTTP/1.1\r\nHost: a.org\r\n\r\n";
    auto sent = co_await viewer->write(as_bytes(request), on.in(5s));
    CHECK(sent);
    auto began = co_await rig.hear(*viewer, "FLV");
    CHECK(has(began, "200 OK"));
    auto heard = co_await rig.talk(get("/live/a.m3u8"));
    CHECK(has(heard, "X-Who: one"));
    CHECK(second.requests.empty());
    viewer->close();
    auto left = co_await first.left.wait(on.in(5s));
    CHECK(left);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop, live));
}

TEST_CASE("a name that leads nowhere is the upstream's failure, and the next is asked",
          "[http_call]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const test::QuietLog quiet;
    Resolver resolver(on);
    // Never asked of any server, RFC 7686.
    auto nowhere = co_await resolver.resolve("nowhere.onion", 80, on.in(5s));
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == Errc::Refused);
    CHECK(status_for(nowhere.error().code) == 502);

    HttpOrigin origin(on, kHas);
    Upstream lost;
    lost.id = "lost";
    lost.at(Protocol::Http).push_back({"nowhere.onion", 80});
    Upstream found;
    found.id = "found";
    found.weight = 0;
    found.at(Protocol::Http).push_back({"127.0.0.1", origin.port()});
    Router router;
    CHECK(router.configure(lost));
    CHECK(router.configure(found));
    Metrics metrics("test");
    Routing routing(on, std::move(router), metrics);
    HttpUpstreamPool pool(on);
    const DialOptions dial{.connect_timeout = 5s};
    const OriginNaming naming;
    Tally reused;
    HttpCall call({on, routing, resolver, pool, dial, naming, reused},
                  {.request = {.method = "GET", .target = "/a.html"},
                   .key = "a",
                   .id = "i",
                   .needs_host = true});
    auto answer = co_await call.ask();
    if (!answer) FAIL(answer.error().text);
    CHECK(answer->upstream->id == "found");
    CHECK(metrics.text().find("weir_upstream_ejections_total 1") != std::string::npos);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}
