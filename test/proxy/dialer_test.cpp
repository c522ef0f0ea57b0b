#include "proxy/dialer.h"

#include <catch2/catch.hpp>

#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// A listener that keeps whoever comes.
struct Origin {
  explicit Origin(Loop& loop)
      : listener(listen_on(loop, [this](std::unique_ptr<Socket> socket) {
          guests.push_back(std::move(socket));
        })) {}
  std::vector<std::unique_ptr<Socket>> guests;
  std::unique_ptr<Listener> listener;
};

// Each upstream "o1", "o2"... listens on these ports; the first is asked first.
Router router_to(const std::vector<std::vector<std::uint16_t>>& upstreams) {
  Router router;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    Upstream upstream;
    upstream.id = "o" + std::to_string(i + 1);
    upstream.weight = i == 0 ? 1 : 0;
    for (const auto port : upstreams[i]) upstream.at(Protocol::Rtmp).push_back({"127.0.0.1", port});
    INVARIANT(router.configure(std::move(upstream)));
  }
  return router;
}

struct Net {
  explicit Net(Loop& loop, const std::vector<std::vector<std::uint16_t>>& upstreams)
      : routing(loop, router_to(upstreams), metrics), resolver(loop) {}
  Dialer dialer(DialOptions options = {}) {
    return Dialer(routing, resolver, "s", Protocol::Rtmp, options);
  }
  QuietLog quiet;
  Metrics metrics{"test"};
  Routing routing;
  Resolver resolver;
};

}  // namespace

TEST_CASE("the stream's upstream is connected, and stays the stream's", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Origin origin(on);
    Origin other(on);
    Net net(on, {{origin.listener->port()}, {other.listener->port()}});
    for (int i = 0; i < 3; ++i) {
      auto dialer = net.dialer();
      auto dialed = co_await dialer.next();
      CHECK(dialed);
      if (!dialed) co_return;
      CHECK(dialed->upstream->id == "o1");
      CHECK(dialed->endpoint == Endpoint{"127.0.0.1", origin.listener->port()});
      CHECK(dialed->socket->is_open());
      CHECK(dialed->remembered);
      dialer.accept();
    }
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("the second endpoint of an upstream is tried when the first refuses", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const RefusingPort dead;
    Origin origin(on);
    Net net(on, {{dead.port(), origin.listener->port()}});
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    if (dialed) CHECK(dialed->endpoint.port == origin.listener->port());
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an upstream that refuses is passed over, now and by the next session", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const RefusingPort dead;
    Origin origin(on);
    Net net(on, {{dead.port()}, {origin.listener->port()}});
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    if (dialed) CHECK(dialed->upstream->id == "o2");
    dialer.accept();
    co_await Turn{on};
    auto route = co_await net.routing.route("s", Protocol::Rtmp, {});
    CHECK(route);
    if (route) CHECK(route->upstream->id == "o2");
    auto fresh = co_await net.routing.route("another", Protocol::Rtmp, {});
    CHECK(fresh);
    if (fresh) CHECK(fresh->upstream->id == "o2");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("when nobody is left the last upstream's error is told", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const RefusingPort dead;
    Origin origin(on);
    Net net(on, {{origin.listener->port()}, {dead.port()}});
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    dialer.reject({Errc::Protocol, "speaks in tongues"}, Stage::Setup);
    auto next = co_await dialer.next();
    CHECK(next.error().code == Errc::Refused);
    auto again = co_await dialer.next();
    CHECK(again.error().code == Errc::Refused);
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("without any upstream the answer is unavailable", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Net net(on, {});
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    CHECK(dialed.error().code == Errc::Unavailable);
  };
  run(loop, body(loop));
}

TEST_CASE("no more upstreams are tried than allowed", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Origin one(on);
    Origin two(on);
    Origin three(on);
    Net net(on, {{one.listener->port()}, {two.listener->port()}, {three.listener->port()}});
    auto dialer = net.dialer({.max_tries = 2});
    for (int i = 0; i < 2; ++i) {
      auto dialed = co_await dialer.next();
      CHECK(dialed);
      dialer.reject({Errc::NotFound, "no such stream"}, Stage::Setup);
    }
    auto third = co_await dialer.next();
    CHECK_FALSE(third);
    if (!third) CHECK(third.error().text == "no such stream");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an upstream that only does not have the stream stays in use", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Origin one(on);
    Origin two(on);
    Net net(on, {{one.listener->port()}, {two.listener->port()}});
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    dialer.reject({Errc::NotFound, "no such stream"}, Stage::Setup);
    auto other = co_await dialer.next();
    CHECK(other);
    if (other) {
      CHECK(other->upstream->id == "o2");
      CHECK_FALSE(other->remembered);
    }
    auto route = co_await net.routing.route("another", Protocol::Rtmp, {});
    CHECK(route);
    if (route) CHECK(route->upstream->id == "o1");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an upstream that is skipped is not asked, and not blamed", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Origin one(on);
    Origin two(on);
    Net net(on, {{one.listener->port()}, {two.listener->port()}});
    auto dialer = net.dialer();
    dialer.skip("o1");
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    if (dialed) CHECK(dialed->upstream->id == "o2");
    CHECK(one.guests.empty());
    auto route = co_await net.routing.route("another", Protocol::Rtmp, {});
    CHECK(route);
    if (route) CHECK(route->upstream->id == "o1");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an upstream that does not answer the connect is given up in time, and the next tried",
          "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    // Nobody accepts here, and its queue of one is full: the kernel drops further connects.
    const int full = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto at = *Address::parse("127.0.0.1", 0);
    CHECK(::bind(full, at.raw(), at.length()) == 0);
    CHECK(::listen(full, 0) == 0);
    const auto port = Address::of_socket(full).port();
    auto first = co_await dial(on, port);
    Origin origin(on);
    Net net(on, {{port}, {origin.listener->port()}});
    auto dialer = net.dialer({.connect_timeout = 100ms});
    const auto before = Clock::now();
    auto dialed = co_await dialer.next();
    CHECK(dialed);
    if (dialed) CHECK(dialed->upstream->id == "o2");
    CHECK(Clock::now() - before < 2s);
    co_await end_all_others(on);
    ::close(full);
  };
  run(loop, body(loop));
}

TEST_CASE("a loop that gives up its waits ends the tries", "[dialer]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Origin one(on);
    Origin two(on);
    Net net(on, {{one.listener->port()}, {two.listener->port()}});
    on.cancel_all();
    auto dialer = net.dialer();
    auto dialed = co_await dialer.next();
    if (!dialed) CHECK(dialed.error().code == Errc::Cancelled);
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}
