#include <catch2/catch.hpp>

#include "common/redis/client.h"
#include "test/support/quiet_log.h"
#include "test/support/redis_server.h"
#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::redis;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// redis-server that speaks nothing but TLS.
RedisServer::Arguments tls_only(const std::string& ask_clients) {
  const Papers& all = papers();
  return {"--tls-cert-file",    all.server.file, "--tls-key-file",     all.server.key_file,
          "--tls-ca-cert-file", all.ca.file,     "--tls-auth-clients", ask_clients};
}

ServerOptions over_tls(const RedisServer& server, const Certificate* shown = nullptr) {
  ServerOptions options = server.options();
  options.tls = {.context = client_trusting(papers().ca), .server_name = ""};
  if (shown != nullptr) {
    const auto taken = options.tls->context.identify(shown->file, shown->key_file);
    INVARIANT(taken);
  }
  return options;
}

// What the server says of the connection that is made so, or why there is none.
struct Met {
  std::string answer;
  Error why{};
};

Task<void> ask_once(Loop& loop, ServerOptions options, Met& met) {
  Resolver resolver(loop);
  Locator locator(resolver, std::move(options));
  auto connection = co_await locator.connect();
  if (!connection) {
    met.why = connection.error();
    co_return;
  }
  const Commands commands{words("CLIENT INFO")};
  auto replies = co_await (*connection)->exchange(commands, loop.in(kPatience));
  if (replies) met.answer = replies->front().text;
  (*connection)->close();
}

Met meet(ServerOptions options) {
  Met met;
  Loop loop;
  run(loop, ask_once(loop, std::move(options), met));
  return met;
}

}  // namespace

TEST_CASE("Redis is talked to over TLS, as the user of an access list", "[redis][redis-server]") {
  auto arguments = tls_only("no");
  for (const auto* word :
       {"--user", "default", "off", "--user", "weir", "on", ">secret", "~weir:*", "+@all"})
    arguments.emplace_back(word);
  RedisServer server(arguments, "--tls-port");
  auto options = over_tls(server);
  options.user = "weir";
  options.password = "wrong";
  CHECK(meet(options).why.code == Errc::Denied);
  options.password = "secret";
  CHECK(meet(options).answer.contains("user=weir "));

  // The certificate names the address, and a name that no resolver knows.
  options.tls->server_name = "server.test";
  CHECK(meet(options).answer.contains("user=weir "));
  options.tls->server_name = "other.test";
  CHECK(meet(options).why.text == "certificate verify failed: hostname mismatch");
  options.tls = {.context = client_trusting(papers().stranger), .server_name = ""};
  const auto met = meet(options);
  CHECK(met.why.code == Errc::Denied);
  CHECK(met.why.text == "certificate verify failed: self-signed certificate in certificate chain");
  options.tls.reset();
  CHECK_FALSE(meet(options).why.text.empty());
}

TEST_CASE("Redis may ask for a certificate", "[redis][redis-server]") {
  RedisServer server(tls_only("yes"), "--tls-port");
  CHECK(meet(over_tls(server, &papers().client)).answer.contains(" user=default "));
  CHECK(meet(over_tls(server)).why.code == Errc::Denied);
  CHECK(meet(over_tls(server, &papers().false_client)).why.code == Errc::Denied);
}

TEST_CASE("TLS where Redis is plain ends with the time for connecting", "[redis][redis-server]") {
  RedisServer server;
  auto options = over_tls(server);
  options.timeout = 50ms;
  const auto met = meet(options);
  CHECK((met.why.code == Errc::Timeout || met.why.code == Errc::Reset));
}

TEST_CASE("sentinels are asked over TLS too", "[redis]") {
  struct Sentinel {
    static Task<void> answer(Loop& loop, std::unique_ptr<Socket> socket, std::string master) {
      TlsEnd tls(*socket, server_showing(papers().server));
      auto accepted = co_await tls.accept(loop.in(kPatience));
      if (!accepted) co_return;
      auto asked = co_await tls.read(loop.scratch(), loop.in(kPatience));
      if (!asked) co_return;
      auto told = co_await tls.write(as_bytes(master), loop.in(kPatience));
      CHECK(told);
    }
  };
  struct Test {
    static Task<void> go(Loop& loop, const RedisServer& server, Met& met) {
      const std::string port = std::to_string(server.port());
      const std::string master =
          "*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(port.size()) + "\r\n" + port + "\r\n";
      auto sentinel = listen_on(loop, [&](std::unique_ptr<Socket> socket) {
        loop.spawn(Sentinel::answer(loop, std::move(socket), master));
      });
      auto options = over_tls(server);
      options.server = {"127.0.0.1", 1};
      options.sentinels = {{"127.0.0.1", sentinel->port()}};
      options.master_name = "main";
      co_await ask_once(loop, options, met);
      sentinel.reset();
      co_await end_all_others(loop);
    }
  };
  RedisServer server(tls_only("no"), "--tls-port");
  Met met;
  Loop loop;
  run(loop, Test::go(loop, server, met));
  CHECK(met.why.text == "");
  CHECK_FALSE(met.answer.empty());
}

TEST_CASE("many callers share a connection over TLS, large values and all",
          "[redis][redis-server]") {
  struct Test {
    static Task<void> set(Loop& loop, Client& client, int number, int& done) {
      const std::string key = "k" + std::to_string(number);
      const std::string value(20'000 + number, 'v');
      const Commands commands{{"SET", key, value}, {"GET", key}};
      auto replies = co_await client.call(commands, loop.in(kPatience));
      REQUIRE(replies);
      CHECK((*replies)[1].is_text(value));
      ++done;
    }
    static Task<void> go(Loop& loop, RedisServer& server) {
      Resolver resolver(loop);
      Client client(resolver, over_tls(server));
      loop.spawn(client.run());
      for (int round = 0; round < 2; ++round) {
        const bool up = co_await comes_true(loop, [&] { return client.up(); });
        REQUIRE(up);
        int done = 0;
        for (int i = 0; i < 100; ++i) loop.spawn(set(loop, client, i, done));
        const bool all = co_await comes_true(loop, [&] { return done == 100; });
        CHECK(all);
        server.stop();
        const bool away = co_await comes_true(loop, [&] { return !client.up(); });
        CHECK(away);
        server.start();
      }
      co_await end_all_others(loop);
    }
  };
  QuietLog quiet;
  RedisServer server(tls_only("no"), "--tls-port");
  Loop loop;
  run(loop, Test::go(loop, server));
}
