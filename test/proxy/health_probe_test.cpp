#include "proxy/health_probe.h"

#include <catch2/catch.hpp>

#include "common/rtmp/connection.h"
#include "proxy/health_checker.h"
#include "test/proxy/routing_fixture.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// A server that says nothing, completes RTMP handshakes, or answers requests with one status.
struct Server {
  enum class Manner { Silent, Rtmp, Http };

  Server(Loop& loop, Manner manner, int status = 200)
      : listener(listen_on(loop, [this, manner, status](std::unique_ptr<Socket> socket) {
          ++guests;
          Loop& on = socket->loop();
          if (manner == Manner::Silent) silent.push_back(std::move(socket));
          if (manner == Manner::Rtmp) on.spawn(greet(std::move(socket)));
          if (manner == Manner::Http) on.spawn(answer(std::move(socket), status));
        })) {}

  Task<void> greet(std::unique_ptr<Socket> socket) {
    rtmp::Connection connection(std::move(socket));
    auto greeted = co_await connection.accept(connection.loop().in(kPatience));
    if (!greeted) co_return;
    auto message = co_await connection.read(connection.loop().in(kPatience));
    if (!message && message.error().code == Errc::Closed) ++orderly_ends;
  }
  Task<void> answer(std::unique_ptr<Socket> socket, int status) {
    std::array<std::uint8_t, 1000> buffer{};
    auto got = co_await socket->read(buffer, socket->loop().in(kPatience));
    if (!got) co_return;
    request.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
    const std::string text =
        "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
    const ByteView bytes{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    static_cast<void>(co_await socket->write(bytes, socket->loop().in(kPatience)));
  }

  std::vector<std::unique_ptr<Socket>> silent;
  std::string request;
  int guests = 0;
  int orderly_ends = 0;
  std::unique_ptr<Listener> listener;
};

using Manner = Server::Manner;

UpstreamPtr at_ports(Protocol protocol, const std::vector<std::uint16_t>& ports) {
  Upstream upstream;
  upstream.id = "o";
  for (const auto port : ports) upstream.at(protocol).push_back({"127.0.0.1", port});
  return std::make_shared<const Upstream>(std::move(upstream));
}

Task<std::string> probe(Resolver& resolver, HealthCheck check, std::vector<std::uint16_t> ports,
                        milliseconds timeout = kPatience) {
  const auto protocol = check == HealthCheck::Http ? Protocol::Http : Protocol::Rtmp;
  const HealthTarget target{check, protocol};
  auto found =
      co_await probe_health(resolver, at_ports(protocol, ports), target, "/alive", timeout);
  co_return found ? "good" : std::string(name(found.error().code));
}

std::vector<std::uint16_t> only(const Server& server) { return {server.listener->port()}; }
std::vector<std::uint16_t> both(std::uint16_t first, std::uint16_t second) {
  return {first, second};
}

HealthCheck auto_check(const Upstream& upstream) {
  const auto target = health_target(upstream, HealthCheck::Auto);
  return target ? target->check : HealthCheck::Off;
}

}  // namespace

TEST_CASE("an RTMP probe ends in order after the handshake", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    Server server(on, Manner::Rtmp);
    auto found = co_await probe(resolver, HealthCheck::Rtmp, only(server));
    CHECK(found == "good");
    auto ended = co_await comes_true(on, [&] { return server.orderly_ends == 1; });
    CHECK(ended);
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("a hung server passes a TCP probe and no other", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    Server server(on, Manner::Silent);
    auto tcp = co_await probe(resolver, HealthCheck::Tcp, only(server));
    CHECK(tcp == "good");
    auto rtmp = co_await probe(resolver, HealthCheck::Rtmp, only(server), 20ms);
    CHECK(rtmp == "timeout");
    auto http = co_await probe(resolver, HealthCheck::Http, only(server), 20ms);
    CHECK(http == "timeout");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an HTTP probe takes any answer below 500, and says who asks", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    Server missing(on, Manner::Http, 404);
    auto found = co_await probe(resolver, HealthCheck::Http, only(missing));
    CHECK(found == "good");
    CHECK(missing.request.starts_with("GET /alive HTTP/1.1\r\n"));
    CHECK(missing.request.find("User-Agent: weir-health\r\n") != std::string::npos);
    Server broken(on, Manner::Http, 500);
    found = co_await probe(resolver, HealthCheck::Http, only(broken));
    CHECK(found == "unavailable");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("one good endpoint is enough, and only all refused are refused", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    Server server(on, Manner::Rtmp);
    Server hung(on, Manner::Silent);
    const RefusingPort refusing;
    auto found =
        co_await probe(resolver, HealthCheck::Rtmp, both(refusing.port(), server.listener->port()));
    CHECK(found == "good");
    found = co_await probe(resolver, HealthCheck::Rtmp, both(refusing.port(), refusing.port()));
    CHECK(found == "refused");
    found = co_await probe(resolver, HealthCheck::Rtmp,
                           both(hung.listener->port(), refusing.port()), 20ms);
    CHECK(found == "unavailable");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("the probe suits what an upstream offers", "[health_probe]") {
  Upstream upstream;
  CHECK_FALSE(health_target(upstream, HealthCheck::Auto));
  upstream.at(Protocol::Srt) = {{"a", 1}};
  CHECK_FALSE(health_target(upstream, HealthCheck::Tcp));
  upstream.at(Protocol::Rtsp) = {{"a", 1}};
  CHECK(auto_check(upstream) == HealthCheck::Tcp);
  upstream.at(Protocol::Api) = {{"a", 1}};
  CHECK(auto_check(upstream) == HealthCheck::Http);
  CHECK(health_target(upstream, HealthCheck::Rtmp)->protocol == Protocol::Api);
  upstream.at(Protocol::Rtmp) = {{"a", 1}};
  CHECK(auto_check(upstream) == HealthCheck::Rtmp);
  CHECK(health_target(upstream, HealthCheck::Http)->check == HealthCheck::Http);
  CHECK(health_target(upstream, HealthCheck::Tcp)->check == HealthCheck::Tcp);
  CHECK_FALSE(health_target(upstream, HealthCheck::Off));
  for (const char* word : {"off", "auto", "tcp", "rtmp", "http"}) CHECK(parse_health_check(word));
  CHECK_FALSE(parse_health_check("ping"));
}

namespace {

// A registry with upstreams at these ports, and what its checker tells.
struct Ward {
  Ward(Loop& on, const std::vector<std::uint16_t>& ports) : loop(on) {
    for (std::size_t i = 0; i < ports.size(); ++i) {
      Upstream upstream = *at_ports(Protocol::Rtmp, {ports[i]});
      upstream.id = "o" + std::to_string(i + 1);
      INVARIANT(registry.configure(std::move(upstream)));
    }
  }
  HealthChecker checker() {
    const HealthCheckOptions options{
        .check = HealthCheck::Auto, .path = "/", .interval = 10ms, .timeout = 30ms};
    return HealthChecker(loop, registry, options, metrics,
                         [this](const std::string& id, Probed result, const std::string&) {
                           registry.health_of(id)->probed(registry.health(), result, loop.now());
                         });
  }
  Probes probes(const std::string& id) const { return registry.find(id)->health.probes(); }

  Loop& loop;
  QuietLog quiet;
  Metrics metrics{"test"};
  Registry registry;
};

std::vector<std::uint16_t> ports_of(const Server& a, const Server& b, const RefusingPort& c) {
  return {a.listener->port(), b.listener->port(), c.port()};
}

}  // namespace

TEST_CASE("live, hung and dead upstreams are told apart", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Server live(on, Manner::Rtmp);
    Server hung(on, Manner::Silent);
    const RefusingPort dead;
    Ward ward(on, ports_of(live, hung, dead));
    auto checker = ward.checker();
    on.spawn(checker.run());
    auto told = co_await comes_true(on, [&] {
      return ward.probes("o1") == Probes::Up && ward.probes("o2") == Probes::Down &&
             ward.probes("o3") == Probes::Down;
    });
    CHECK(told);
    CHECK(hung.guests >= 3);
    const auto text = ward.metrics.text();
    CHECK(text.find("weir_health_probes_total{result=\"good\"}") != std::string::npos);
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("who joins is probed, and who was removed is not any more", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Server server(on, Manner::Rtmp);
    Ward ward(on, {});
    auto checker = ward.checker();
    on.spawn(checker.run());
    auto registration = beat("o");
    registration.endpoints[static_cast<std::size_t>(Protocol::Rtmp)] = {
        {"127.0.0.1", server.listener->port()}};
    REQUIRE(ward.registry.heartbeat(registration, on.now()));
    auto up = co_await comes_true(on, [&] { return ward.probes("o") == Probes::Up; });
    CHECK(up);
    REQUIRE(ward.registry.remove("o"));
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("not more probes than the bound are under way", "[health_probe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Server hung(on, Manner::Silent);
    const std::size_t many = HealthChecker::kMaxUnderWay + 20;
    const std::vector<std::uint16_t> ports(many, hung.listener->port());
    Ward ward(on, ports);
    const HealthCheckOptions options{
        .check = HealthCheck::Rtmp, .path = "/", .interval = 1ms, .timeout = kPatience};
    HealthChecker checker(on, ward.registry, options, ward.metrics,
                          [](const std::string&, Probed, const std::string&) {});
    on.spawn(checker.run());
    auto full =
        co_await comes_true(on, [&] { return hung.silent.size() == HealthChecker::kMaxUnderWay; });
    CHECK(full);
    auto more = co_await comes_true(
        on, [&] { return hung.silent.size() > HealthChecker::kMaxUnderWay; }, 50ms);
    CHECK_FALSE(more);
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}
