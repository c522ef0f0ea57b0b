#include "common/redis/client.h"

#include <functional>
#include <catch2/catch.hpp>

#include "common/redis/subscriber.h"
#include "test/support/quiet_log.h"
#include "test/support/redis_server.h"

using namespace weir;
using namespace weir::redis;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct Rig {
  Loop& loop;
  Resolver& resolver;
  RedisServer& server;
};

using Body = std::function<Task<void>(Rig&)>;

Task<void> run_body(Loop& loop, RedisServer& server, const Body& body) {
  Resolver resolver(loop);
  Rig rig{loop, resolver, server};
  co_await body(rig);
}

void with_redis(const Body& body, RedisServer::Arguments arguments = {}) {
  QuietLog quiet;
  RedisServer server(std::move(arguments));
  Loop loop;
  run(loop, run_body(loop, server, body));
}

// Until the client is up, or not.
Task<bool> becomes(Client& client, Loop& loop, bool up) {
  return comes_true(loop, [&client, up] { return client.up() == up; });
}

Task<Result<Reply>> ask(Client& client, Loop& loop, std::string line,
                        milliseconds patience = kPatience) {
  auto reply = co_await client.call(words(line), loop.in(patience));
  co_return reply;
}

// A server that says this, whatever it is asked.
Task<void> say(std::unique_ptr<Socket> socket, std::string bytes) {
  auto sent = co_await socket->write(as_bytes(bytes), socket->loop().in(kPatience));
  std::array<std::uint8_t, 100> buffer{};
  while (sent) {
    auto got = co_await socket->read(buffer, socket->loop().in(kPatience));
    if (!got) co_return;
  }
}

std::unique_ptr<Listener> server_that_says(Loop& loop, std::string bytes) {
  return listen_on(loop, [&loop, bytes](std::unique_ptr<Socket> socket) {
    loop.spawn(say(std::move(socket), bytes));
  });
}

}  // namespace

TEST_CASE("commands do what they say", "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Client client(rig.resolver, rig.server.options());
      auto early = co_await ask(client, rig.loop, "PING");
      CHECK(early.error().code == Errc::Unavailable);
      rig.loop.spawn(client.run());
      const bool up = co_await becomes(client, rig.loop, true);
      REQUIRE(up);
      const Commands several{words("SET k v"), words("GET k"), words("LPUSH k x"),
                             words("GET none")};
      auto replies = co_await client.call(several, rig.loop.in(kPatience));
      REQUIRE(replies);
      CHECK((*replies)[0].is_text("OK"));
      CHECK((*replies)[1].is_text("v"));
      CHECK((*replies)[2].is_error("WRONGTYPE"));
      CHECK((*replies)[3].is(Reply::Kind::Nil));
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a client logs in as the user it is given, to the database it is given",
          "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      auto reply = co_await redis_cli(rig.resolver, rig.server,
                                      "ACL SETUSER weir on >secret ~weir:* +@all -flushall");
      REQUIRE(reply.is_text("OK"));
      reply = co_await redis_cli(rig.resolver, rig.server, "ACL SETUSER default off");
      REQUIRE(reply.is_text("OK"));

      ServerOptions options = rig.server.options();
      options.db = 3;
      for (const auto* password : {"", "wrong"}) {
        options.user = "weir";
        options.password = password;
        Locator locator(rig.resolver, options);
        auto refused = co_await locator.connect();
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::Denied);
      }
      options.password = "secret";
      Locator locator(rig.resolver, options);
      auto connection = co_await locator.connect();
      REQUIRE(connection);
      const Commands commands{words("ACL WHOAMI"), words("CLIENT INFO"), words("GET other:key"),
                              words("FLUSHALL")};
      auto replies = co_await (*connection)->exchange(commands, rig.loop.in(kPatience));
      REQUIRE(replies);
      CHECK((*replies)[0].is_text("weir"));
      CHECK((*replies)[1].text.contains(" db=3 "));
      CHECK((*replies)[2].is_error("NOPERM"));
      CHECK((*replies)[3].is_error("NOPERM"));
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a password alone is the default user's", "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      ServerOptions options = rig.server.options();
      options.password = "secret";
      Locator locator(rig.resolver, options);
      auto connection = co_await locator.connect();
      CHECK(connection);
    }
  };
  with_redis(Test::go, {"--requirepass", "secret"});
}

TEST_CASE("nobody waits longer than he said for a server that is stopped",
          "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Client client(rig.resolver, rig.server.options());
      rig.loop.spawn(client.run());
      bool up = co_await becomes(client, rig.loop, true);
      REQUIRE(up);
      rig.server.pause();
      const auto before = Clock::now();
      auto late = co_await ask(client, rig.loop, "GET a", 50ms);
      CHECK(late.error().code == Errc::Timeout);
      for (int i = 0; i < 100; ++i) {
        auto refused = co_await ask(client, rig.loop, "GET a", 50ms);
        CHECK(refused.error().code == Errc::Unavailable);
      }
      CHECK(Clock::now() - before < 500ms);
      // The kernel goes on accepting for it: a connect is no sign of life.
      auto lost = co_await client.changed(rig.loop.in(kPatience));
      REQUIRE(lost);
      CHECK_FALSE(client.up());
      rig.server.resume();
      up = co_await becomes(client, rig.loop, true);
      CHECK(up);
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a client comes back when its server does", "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Client client(rig.resolver, rig.server.options());
      rig.loop.spawn(client.run());
      for (int i = 0; i < 3; ++i) {
        bool up = co_await becomes(client, rig.loop, true);
        REQUIRE(up);
        rig.server.stop();
        up = co_await becomes(client, rig.loop, false);
        REQUIRE(up);
        rig.server.start();
      }
      const bool up = co_await becomes(client, rig.loop, true);
      CHECK(up);
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a server that stays silent or talks nonsense is away", "[redis]") {
  struct Test {
    static Task<void> go(Loop& loop, std::string bytes, Errc expected) {
      Resolver resolver(loop);
      auto listener = server_that_says(loop, bytes);
      ServerOptions options;
      options.server = {"127.0.0.1", listener->port()};
      options.timeout = 100ms;
      Locator locator(resolver, options);
      auto connection = co_await locator.connect();
      REQUIRE_FALSE(connection);
      CHECK(connection.error().code == expected);
      listener.reset();
      co_await end_all_others(loop);
    }
  };
  Loop loop;
  SECTION("silence") { run(loop, Test::go(loop, "", Errc::Timeout)); }
  SECTION("nonsense") { run(loop, Test::go(loop, "SSH-2.0-x\r\n", Errc::Protocol)); }
  SECTION("a server that is loading") {
    run(loop,
        Test::go(loop, "-LOADING Redis is loading the dataset in memory\r\n", Errc::Unavailable));
  }
}

TEST_CASE("of what sentinels say only a master is believed", "[redis][redis-server]") {
  struct Test {
    static std::unique_ptr<Listener> sentinel(Loop& loop, const RedisServer& names) {
      const std::string port = std::to_string(names.port());
      return server_that_says(loop, "*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(port.size()) +
                                        "\r\n" + port + "\r\n");
    }
    static Task<void> go(Rig& rig) {
      RedisServer replica({"--replicaof", "127.0.0.1", std::to_string(rig.server.port())});
      auto ignorant = server_that_says(rig.loop, "*-1\r\n");
      auto cut_off = sentinel(rig.loop, replica);
      auto right = sentinel(rig.loop, rig.server);
      ServerOptions options;
      options.master_name = "main";
      options.sentinels = {{"127.0.0.1", RefusingPort().port()},
                           {"127.0.0.1", ignorant->port()},
                           {"127.0.0.1", cut_off->port()}};
      Locator misled(rig.resolver, options);
      auto connection = co_await misled.connect();
      REQUIRE_FALSE(connection);
      CHECK(connection.error().code == Errc::Unavailable);

      options.sentinels.push_back({"127.0.0.1", right->port()});
      Locator locator(rig.resolver, options);
      for (int i = 0; i < 2; ++i) {
        connection = co_await locator.connect();
        REQUIRE(connection);
        CHECK((*connection)->peer() == Address::parse("127.0.0.1", rig.server.port())->text());
      }
      ignorant.reset();
      cut_off.reset();
      right.reset();
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a client leaves a master that has become a replica", "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      Client client(rig.resolver, rig.server.options());
      rig.loop.spawn(client.run());
      const bool up = co_await becomes(client, rig.loop, true);
      REQUIRE(up);
      auto demoted = co_await redis_cli(rig.resolver, rig.server, "REPLICAOF 127.0.0.1 1");
      REQUIRE(demoted.is_text("OK"));
      auto refused = co_await ask(client, rig.loop, "SET k v");
      CHECK(refused.value().is_error("READONLY"));
      const bool left = co_await becomes(client, rig.loop, false);
      CHECK(left);
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a subscriber hears what is published, and says when it may have missed something",
          "[redis][redis-server]") {
  struct Test {
    static Task<void> go(Rig& rig) {
      std::vector<std::string> heard;
      int subscribed = 0;
      Subscriber subscriber(
          rig.resolver, rig.server.options(), "news",
          {.on_message = [&](std::string_view payload) { heard.emplace_back(payload); },
           .on_subscribed = [&] { ++subscribed; }});
      rig.loop.spawn(subscriber.run());
      for (int round = 1; round <= 2; ++round) {
        bool there = co_await comes_true(rig.loop, [&] { return subscribed == round; });
        REQUIRE(there);
        auto reply = co_await redis_cli(rig.resolver, rig.server, "PUBLISH other nothing");
        CHECK(reply.integer == 0);
        const std::string line = "PUBLISH news " + std::to_string(round);
        reply = co_await redis_cli(rig.resolver, rig.server, line);
        CHECK(reply.integer == 1);
        there = co_await comes_true(rig.loop, [&] { return heard.size() >= std::size_t(round); });
        REQUIRE(there);
        CHECK(heard.back() == std::to_string(round));
        rig.server.stop();
        rig.server.start();
      }
      co_await end_all_others(rig.loop);
    }
  };
  with_redis(Test::go);
}

TEST_CASE("a subscriber leaves a server that has fallen silent", "[redis]") {
  struct Test {
    // Answers the login and the subscription, and nothing after that.
    static Task<void> serve(std::unique_ptr<Socket> socket) {
      Connection peer(std::move(socket));
      const auto answer = [&peer](std::string_view bytes) {
        return peer.send(as_bytes(bytes), peer.loop().in(kPatience));
      };
      auto heard = co_await peer.receive(peer.loop().in(kPatience));
      auto sent = co_await answer("+PONG\r\n");
      heard = co_await peer.receive(peer.loop().in(kPatience));
      sent = co_await answer("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
      while (heard) heard = co_await peer.receive(peer.loop().in(kPatience));
    }
    static Task<void> go(Loop& loop) {
      Resolver resolver(loop);
      auto listener = listen_on(
          loop, [&](std::unique_ptr<Socket> socket) { loop.spawn(serve(std::move(socket))); });
      ServerOptions options;
      options.server = {"127.0.0.1", listener->port()};
      int subscribed = 0;
      Subscriber subscriber(
          resolver, options, "news",
          {.on_message = [](std::string_view) {}, .on_subscribed = [&] { ++subscribed; }});
      loop.spawn(subscriber.run());
      const bool left = co_await comes_true(loop, [&] { return subscribed == 2; });
      CHECK(left);
      listener.reset();
      co_await end_all_others(loop);
    }
  };
  Loop loop;
  run(loop, Test::go(loop));
}
