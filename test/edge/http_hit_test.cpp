// Hits from memory through a client's whole session: what they cost, and that they are the same
// answers as those of the long way.
#include "edge/http_hit.h"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "edge/http_session.h"
#include "test/proxy/http_relay_rig.h"
#include "test/support/cost.h"
#include "test/support/stream_rig.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr int kRounds = 20;

std::string get(std::string_view target, std::string_view headers = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: a.org\r\nUser-Agent: test/1.0\r\n{}\r\n", target,
                     headers);
}

// One client of an edge that has the objects which the test puts into its store.
class HitRig {
 public:
  HitRig() {
    hub_.connect({&hub_});
    std::unique_ptr<Socket> socket;
    client_ = std::make_unique<Player>(connect_player(loop, socket));
    socket_ = std::move(socket);
  }

  void begin() { loop.spawn(serve_http(hub_, &cache_, std::move(socket_), nullptr)); }

  void keep(const std::string& key, std::string_view bytes, http::Headers headers = {}) {
    auto joined = store_.join(key, {}, loop.now());
    auto body = std::make_shared<HttpBody>(store_.memory(), bytes.size());
    body->append(as_bytes(bytes));
    body->finish();
    auto object = std::make_shared<HttpObject>(
        HttpObject::Parts{.response = {.status = 200, .reason = "OK", .headers = headers},
                          .vary = {},
                          .kind = HttpKind::Other,
                          .freshness = {.lifetime = 1h},
                          .received = loop.now(),
                          .body = body},
        store_.memory());
    store_.put(*joined->fill, object);
    store_.end(joined->fill);
  }

  // All that comes for these bytes until it ends so, or is so long.
  Task<std::string> ask(std::string raw, std::string end, std::size_t least = 1) {
    const std::size_t before = client_->received().size();
    client_->say(as_bytes(raw));
    const bool came = co_await until(loop, [&] {
      client_->receive();
      const std::string_view heard = as_text(client_->received()).substr(before);
      return heard.size() >= least && heard.ends_with(end);
    });
    CHECK(came);
    co_return std::string(as_text(client_->received()).substr(before));
  }
  // What the session does for the request, beside the test's own doings.
  Task<Cost> cost_of(std::string raw) {
    client_->say(as_bytes(raw));
    start_counting();
    // A turn to see that bytes have come, one to be sure.
    co_await next_turn(loop);
    co_await next_turn(loop);
    const Cost cost = stop_counting();
    CHECK(client_->receive());
    co_return cost;
  }
  Player& client() { return *client_; }
  std::uint64_t hits() const { return tallies_.hits.value(); }

  Loop loop;

 private:
  EdgeOptions options_ = standalone();
  Metrics metrics_{"test"};
  EdgeMetrics edge_metrics_{metrics_};
  MergeWindow window_{options_.merge_window, options_.merge_max};
  Routing routing_{loop, Router(), metrics_};
  Resolver resolver_{loop};
  StreamHub hub_{{loop, options_, edge_metrics_, window_, routing_, resolver_}};
  Tally requests_, failures_, reused_, down_, up_;
  HttpRelay relay_{loop, routing_, resolver_, {}, {requests_, failures_, reused_, down_, up_}};
  HttpStore store_{16 * 1024 * 1024};
  HttpCacheOptions cache_options_;
  HttpCacheTallies tallies_{metrics_};
  HttpCache cache_{{loop, store_, relay_, cache_options_, tallies_}};
  std::unique_ptr<Player> client_;
  std::unique_ptr<Socket> socket_;
};

template <class Body>
void with(Body body) {
  HitRig rig;
  auto play = [](HitRig& on, Body what) -> Task<void> {
    on.begin();
    co_await what(on);
    on.client().hang_up();
    co_await end_all_others(on.loop);
  };
  test::run(rig.loop, play(rig, body));
}

}  // namespace

TEST_CASE("a hit costs one write, and memory for nothing but the request's head", "[http_hit]") {
  auto body = [](HitRig& rig) -> Task<void> {
    rig.keep("a.org/live/playlist.m3u8?x=1", std::string(1200, 'x'));
    Cost plain, visit;
    for (int i = 0; i < kRounds; ++i) {
      plain = co_await rig.cost_of(get("/live/playlist.m3u8?x=1"));
      visit = co_await rig.cost_of(get("/live/playlist.m3u8?x=1", "Pragma: x\r\n"));
    }
    CHECK(rig.hits() == 2 * kRounds);
    CHECK(plain.sends == 1);
    CHECK(visit.sends == 1);
    INFO("plain " << plain.allocations << ", by way of a visit " << visit.allocations);
    CHECK(plain.allocations <= 14);
    CHECK(plain.allocations + 10 <= visit.allocations);
  };
  with(body);
}

TEST_CASE("a plain hit is the answer that the long way gives", "[http_hit]") {
  auto body = [](HitRig& rig) -> Task<void> {
    rig.keep("a.org/a", "hello", {{"ETag", "\"e\""}, {"Content-Type", "text/plain"}});
    rig.keep("a.org/b", "", {{"Access-Control-Allow-Origin", "b"}});
    for (const std::string target : {"/a", "/b"}) {
      const std::string end = target == "/a" ? "\r\n\r\nhello" : "\r\n\r\n";
      auto plain = co_await rig.ask(get(target), end);
      auto visit = co_await rig.ask(get(target, "Pragma: x\r\n"), end);
      CHECK(plain == visit);
      CHECK(plain.find("Cache-Status: weir; hit; ttl=3") != std::string::npos);
    }
    CHECK(rig.hits() == 4);
    auto last = co_await rig.ask(get("/a", "Connection: close\r\n"), "hello");
    CHECK(last.find("Connection: close\r\n") != std::string::npos);
    const bool ended = co_await until(rig.loop, [&] {
      rig.client().receive();
      return rig.client().ended();
    });
    CHECK(ended);
  };
  with(body);
}

TEST_CASE("requests sent ahead are answered in their order", "[http_hit]") {
  auto body = [](HitRig& rig) -> Task<void> {
    rig.keep("a.org/a", "first");
    rig.keep("a.org/b", "other");
    auto heard =
        co_await rig.ask(get("/a") + get("/b", "Range: bytes=0-1\r\n") + get("/b"), "other");
    const auto first = heard.find("first");
    const auto part = heard.find("\r\n\r\not");
    CHECK(first < part);
    CHECK(part < heard.find("other"));
  };
  with(body);
}

TEST_CASE("what the kernel does not take at once follows", "[http_hit]") {
  auto body = [](HitRig& rig) -> Task<void> {
    constexpr std::size_t kSize = 4 * 1024 * 1024;
    std::string bytes(kSize, 'x');
    for (std::size_t i = 0; i < kSize; i += 4096) bytes[i] = static_cast<char>('a' + i / 4096 % 26);
    rig.keep("a.org/a", bytes);
    for (int i = 0; i < 2; ++i) {
      auto heard = co_await rig.ask(get("/a"), "x", kSize + 100);
      CHECK(heard.ends_with(bytes));
      CHECK(rig.hits() == static_cast<std::uint64_t>(i) + 1);
    }
  };
  with(body);
}
