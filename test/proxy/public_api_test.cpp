#include "proxy/public_api.h"

#include <spdlog/fmt/fmt.h>

#include <latch>
#include <catch2/catch.hpp>

#include "test/proxy/http_relay_rig.h"
#include "test/support/on_a_loop.h"
#include "test/support/router_to.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kOffer =
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:cLnT\r\n"
    "a=ice-pwd:aClientsPasswordOf22++\r\na=candidate:1 1 udp 1 198.51.100.7 50123 typ host\r\n";
const std::string kAnswer =
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:oRgN\r\n"
    "a=ice-pwd:anOriginsPasswordOf22+\r\na=candidate:1 1 udp 1 127.0.0.1 40000 typ host\r\n";

SystemPages pages(SystemPages::Handlers handlers = {.metrics = [] { return "weir_up 1\n"; }}) {
  return {{"weir-1", "8dh3", "77", "1.2.34"}, CidrList{}, std::move(handlers)};
}

struct Rig {
  // An origin that takes every session.
  explicit Rig(Loop& on, SystemPages shown = pages(), std::size_t threads = 1,
               std::size_t waiting = 8)
      : loop(on),
        origin(on,
               [](const http::Request& request, const std::string&) {
                 if (request.method == "OPTIONS")
                   return http::simple_response(204, "", "",
                                                {{"Access-Control-Allow-Origin", "*"}});
                 return http::simple_response(201, "application/sdp", kAnswer,
                                              {{"Location", "/session/1"}});
               }),
        desk(std::move(shown), threads, waiting),
        routing(on, test::router_to(Protocol::Http, {origin.port()}), metrics),
        resolver(on),
        directory(10, nullptr, metrics),
        api(on, desk, {}, [this](const Loop&) -> std::optional<WhipExchange::Context> {
          return WhipExchange::Context{loop, routing, resolver, directory, options};
        }) {
    listener = listen_on(on, [this](std::unique_ptr<Socket> socket) {
      loop.spawn(api.serve(std::move(socket), nullptr));
    });
  }

  // All that comes until the connection ends.
  Task<std::string> talk(std::string raw) {
    auto socket = co_await dial(loop, listener->port());
    auto sent = co_await socket->write(as_bytes(raw), loop.in(5s));
    REQUIRE(sent);
    auto heard = co_await hear_all(*socket);
    co_return heard;
  }
  Task<std::string> ask(std::string line, std::string rest = "") {
    auto heard =
        co_await talk(line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + rest + "\r\n");
    co_return heard;
  }
  Task<std::string> offer() {
    auto heard =
        co_await talk(fmt::format("POST /live/cam/whip HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                  "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
                                  kOffer.size(), kOffer));
    co_return heard;
  }

  Loop& loop;
  HttpOrigin origin;
  SystemDesk desk;
  Metrics metrics{"test"};
  Routing routing;
  Resolver resolver;
  WhipOptions options{.media_port = 8000};
  WebrtcDirectory directory;
  PublicApi api;
  std::unique_ptr<Listener> listener;
};

bool has(const std::string& text, std::string_view part) { return text.contains(part); }

}  // namespace

TEST_CASE("pages are shown as the system API shows them", "[public_api][threads]") {
  on_a_loop([](Loop& on) -> Task<void> {
    Rig rig(on);
    auto metrics = co_await rig.ask("GET /metrics");
    CHECK(metrics.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(metrics.ends_with("\r\n\r\nweir_up 1\n"));
    CHECK(has(metrics, "X-Content-Type-Options: nosniff\r\n"));
    auto head = co_await rig.ask("HEAD /metrics");
    CHECK(has(head, "Content-Length: 10\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    auto versions = co_await rig.ask("GET /api/v1/versions?a=b");
    CHECK(has(versions, R"("version":"1.2.34")"));
    auto method = co_await rig.ask("DELETE /metrics");
    CHECK(has(method, "HTTP/1.1 405 "));
    CHECK(has(method, "Allow: GET, HEAD\r\n"));
    auto nothing = co_await rig.ask("GET /live/cam.flv");
    CHECK(has(nothing, "HTTP/1.1 404 "));
    CHECK(rig.origin.connections == 0);
    co_await end_all_others(on);
  });
}

TEST_CASE("a connection carries one page after another, and signalling between them",
          "[public_api][threads]") {
  on_a_loop([](Loop& on) -> Task<void> {
    Rig rig(on);
    auto heard = co_await rig.talk(
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        "OPTIONS /live/cam/whip HTTP/1.1\r\nHost: a\r\n\r\n"
        "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(has(heard, R"({"code":0})"));
    CHECK(has(heard, "HTTP/1.1 204 "));
    CHECK(has(heard, "Access-Control-Allow-Origin: *\r\n"));
    CHECK(heard.ends_with("weir_up 1\n"));
    // A body that no page reads is not the next request.
    auto ended = co_await rig.talk(
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n    ");
    CHECK(has(ended, "HTTP/1.1 405 "));
    CHECK_FALSE(has(ended, "weir_up"));
    co_await end_all_others(on);
  });
}

TEST_CASE("an offer goes to the origin without addresses, and no more when the node goes away",
          "[public_api][threads]") {
  on_a_loop([](Loop& on) -> Task<void> {
    Rig rig(on);
    auto answer = co_await rig.offer();
    CHECK(has(answer, "HTTP/1.1 201 "));
    CHECK(has(answer, "127.0.0.1 8000 typ host"));
    CHECK_FALSE(has(answer, "40000"));
    REQUIRE(rig.origin.bodies.size() == 1);
    CHECK_FALSE(has(rig.origin.bodies[0], "198.51.100.7"));
    CHECK(rig.directory.find("oRgN:cLnT") != nullptr);

    rig.api.stop_signalling();
    auto refused = co_await rig.offer();
    CHECK(has(refused, "HTTP/1.1 503 "));
    CHECK(has(refused, "application/problem+json"));
    auto still = co_await rig.ask("OPTIONS /live/cam/whip");
    CHECK(has(still, "HTTP/1.1 204 "));
    auto page = co_await rig.ask("GET /healthz");
    CHECK(has(page, "HTTP/1.1 200 "));
    co_await end_all_others(on);
  });
}

TEST_CASE("as many questions wait as may, and one more is refused at once",
          "[public_api][threads]") {
  on_a_loop([](Loop& on) -> Task<void> {
    std::latch asked(1);
    std::latch go_on(1);
    SystemPages::Handlers slow{.metrics = [&] {
      if (!asked.try_wait()) asked.count_down();
      go_on.wait();
      return std::string("slow\n");
    }};
    Rig rig(on, pages(std::move(slow)), 1, 1);
    int answered = 0;
    int refused = 0;
    auto one = [](Rig& at, int& good, int& bad) -> Task<void> {
      auto text = co_await at.ask("GET /metrics");
      ++(has(text, "slow\n") ? good : bad);
    };
    on.spawn(one(rig, answered, refused));
    const bool begun = co_await comes_true(on, [&] { return asked.try_wait(); });
    REQUIRE(begun);
    // The loop is free meanwhile: one more waits, two are refused.
    for (int i = 0; i < 3; ++i) on.spawn(one(rig, answered, refused));
    const bool two_refused = co_await comes_true(on, [&] { return refused >= 2; });
    REQUIRE(two_refused);
    CHECK(answered == 0);
    go_on.count_down();
    const bool two_answered = co_await comes_true(on, [&] { return answered >= 2; });
    REQUIRE(two_answered);
    CHECK(refused == 2);
    co_await end_all_others(on);
  });
}
