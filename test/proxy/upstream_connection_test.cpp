#include "proxy/upstream_connection.h"

#include <catch2/catch.hpp>

#include "common/proxy_protocol.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace weir::test;

namespace {

// All that an upstream hears of a connection that sends "hello" once it is made.
Task<std::string> heard_by_upstream(Loop& loop, bool introduced, std::optional<ClientEnds> client) {
  std::unique_ptr<Socket> guest;
  const auto listener =
      listen_on(loop, [&guest](std::unique_ptr<Socket> socket) { guest = std::move(socket); });
  Resolver resolver(loop);
  auto made = std::make_shared<Upstream>();
  made->introduced = introduced;
  const UpstreamPtr upstream = made;
  const Endpoint endpoint{"127.0.0.1", listener->port()};
  const Deadline deadline = loop.in(kPatience);
  auto socket = co_await connect_upstream(resolver, upstream, endpoint, deadline, client);
  INVARIANT(socket);
  const std::string hello = "hello";
  auto sent = co_await (*socket)->write(as_bytes(hello), deadline);
  INVARIANT(sent);
  (*socket)->shut_down_writes();
  const bool came = co_await comes_true(loop, [&] { return guest != nullptr; });
  INVARIANT(came);
  std::string heard;
  while (true) {
    auto got = co_await guest->read(loop.scratch(), deadline);
    if (!got) break;
    heard += as_text(loop.scratch().first(*got));
  }
  co_return heard;
}

ClientEnds ends(const char* client, const char* reached) {
  return {.client = *Address::parse(client, 5000), .reached = *Address::parse(reached, 1935)};
}

std::optional<proxy_protocol::Header> header_of(const std::string& heard) {
  auto header = proxy_protocol::parse(as_bytes(heard));
  return header ? *header : std::nullopt;
}

}  // namespace

TEST_CASE("an upstream that wants to know is told first whom a connection is for",
          "[upstream_connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    for (const char* client : {"203.0.113.7", "2001:db8::17", "::ffff:203.0.113.7"}) {
      std::optional<ClientEnds> whose = ends(client, client[0] == ':' ? "::1" : "192.0.2.1");
      auto heard = co_await heard_by_upstream(on, true, whose);
      const auto header = header_of(heard);
      REQUIRE((header && header->client));
      const std::string host = whose->client.host();
      CHECK(*header->client == proxy_protocol::End{.host = host, .port = 5000});
      CHECK(heard.substr(header->size) == "hello");
    }
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("what this node asks for itself is said to be its own", "[upstream_connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    std::optional<ClientEnds> nobody;
    auto heard = co_await heard_by_upstream(on, true, nobody);
    const auto header = header_of(heard);
    REQUIRE(header);
    CHECK_FALSE(header->client);
    CHECK(heard.substr(header->size) == "hello");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}

TEST_CASE("an upstream that expects no header gets none", "[upstream_connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    std::optional<ClientEnds> whose = ends("203.0.113.7", "192.0.2.1");
    auto heard = co_await heard_by_upstream(on, false, whose);
    CHECK(heard == "hello");
    co_await end_all_others(on);
  };
  run(loop, body(loop));
}
