#include <catch2/catch.hpp>

#include "common/http/client_connection.h"
#include "common/http/server_connection.h"
#include "common/io/child.h"
#include "common/io/wait.h"
#include "common/sessions.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

Task<void> say(Socket& socket, std::string text) {
  auto sent = co_await socket.write(as_bytes(text), socket.loop().in(5s));
  CHECK(sent);
}

Task<std::string> hear(Socket& socket) {
  std::string text;
  while (true) {
    auto got = co_await socket.read(socket.loop().scratch(), socket.loop().in(5s));
    if (!got) co_return text;
    text += as_text(socket.loop().scratch().first(*got));
  }
}

Task<std::string> body_of(http::Connection& connection) {
  std::string text;
  while (true) {
    auto piece = co_await connection.read_body(connection.loop().in(5s));
    if (!piece) {
      CHECK(piece.error().code == Errc::Closed);
      co_return text;
    }
    text += as_text(*piece);
  }
}

http::Request get_root() { return {.method = "GET", .target = "/", .headers = {{"Host", "x"}}}; }

}  // namespace

TEST_CASE("a hop's connection has the peer that each of its requests is for",
          "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    ends[0]->set_peer(*Address::parse("10.0.0.1", 4000));
    Admission admission(0, 1);
    admission.trust({.from = *CidrList::parse("10.0.0.0/8")});
    http::ServerConnection server(std::move(ends[0]), {}, {}, &admission);
    co_await say(*ends[1],
                 "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
                 "GET /b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.2\r\n\r\n"
                 "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /d HTTP/1.1\r\nHost: x\r\nForwarded: for=_hidden\r\n\r\n"
                 "GET /e HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.2\r\n\r\n");
    std::vector<std::string> peers;
    for (int requests = 0; requests < 4; ++requests) {
      auto request = co_await server.read_request();
      REQUIRE(request);
      peers.push_back(server.socket().peer().text());
      CHECK(server.sender().text() == "10.0.0.1:4000");
      // It is counted while it is served.
      const auto another = admission.admit_behind_hop(*Address::parse("192.0.2.1", 1));
      CHECK((another == nullptr) == (requests == 0));
    }
    CHECK(peers ==
          std::vector<std::string>{"192.0.2.1:0", "192.0.2.2:0", "10.0.0.1:4000", "10.0.0.1:4000"});
    const auto other = admission.admit_behind_hop(*Address::parse("192.0.2.2", 1));
    auto refused = co_await server.read_request();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 429);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a request whose hop says what nobody can read is refused", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    ends[0]->set_peer(*Address::parse("10.0.0.1", 4000));
    Admission admission(0, 0);
    admission.trust({.from = *CidrList::parse("10.0.0.0/8")});
    http::ServerConnection server(std::move(ends[0]), {}, {}, &admission);
    co_await say(*ends[1], "GET /a HTTP/1.1\r\nHost: x\r\nForwarded: for=\"x\r\n\r\n");
    auto refused = co_await server.read_request();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 400);
    CHECK(server.socket().peer().text() == "10.0.0.1:4000");
  };
  test::run(loop, body(loop));
}

TEST_CASE("pipelined requests come one by one, each with its body", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    http::ServerConnection server(std::move(ends[0]));
    co_await say(
        *ends[1],
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        "GET /c HTTP/1.1\r\nHost: x\r\n\r\nleft");
    auto a = co_await server.read_request();
    REQUIRE(a);
    CHECK(a->target == "/a");
    auto a_body = co_await body_of(server);
    CHECK(a_body == "abc");
    auto b = co_await server.read_request();
    REQUIRE(b);
    auto b_body = co_await body_of(server);
    CHECK(b_body == "de");
    auto c = co_await server.read_request();
    REQUIRE(c);
    CHECK(c->target == "/c");
    CHECK(as_text(server.unread()) == "left");
    auto socket = server.take_socket();
    CHECK(socket->is_open());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a body that was not read ends the connection's requests", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    http::ServerConnection server(std::move(ends[0]));
    co_await say(*ends[1], "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
    auto first = co_await server.read_request();
    REQUIRE(first);
    auto second = co_await server.read_request();
    REQUIRE(!second);
    CHECK(second.error().status == 0);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a bad head is answered with its status, and the client hears it", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    http::ServerConnection server(std::move(ends[0]));
    co_await say(*ends[1], "GET / HTTP/3.7\r\n\r\nand more that nobody reads");
    ends[1]->shut_down_writes();
    auto request = co_await server.read_request();
    REQUIRE(!request);
    co_await server.refuse_with(request.error());
    auto answer = co_await hear(*ends[1]);
    CHECK(answer.starts_with("HTTP/1.1 505 "));
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
  };
  test::run(loop, body(loop));
}

TEST_CASE("slow heads are told 408, idle and leaving clients nothing", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const http::ServerTimes times{.head = 10ms, .idle = 10ms};
    auto slow = test::socket_pair(on);
    http::ServerConnection slow_server(std::move(slow[0]), times);
    co_await say(*slow[1], "GET / HT");
    auto late = co_await slow_server.read_request();
    REQUIRE(!late);
    CHECK(late.error().status == 408);

    auto idle = test::socket_pair(on);
    http::ServerConnection idle_server(std::move(idle[0]), times);
    co_await say(*idle[1], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    auto first = co_await idle_server.read_request();
    REQUIRE(first);
    auto none = co_await idle_server.read_request();
    REQUIRE(!none);
    CHECK(none.error().status == 0);
    CHECK(none.error().code == Errc::Timeout);
    idle[1]->shut_down_writes();
    auto left = co_await idle_server.read_request();
    REQUIRE(!left);
    CHECK(left.error().code == Errc::Closed);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a client's response comes without interim ones and without chunks",
          "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    http::ClientConnection client(std::move(ends[0]));
    co_await say(
        *ends[1],
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\nHTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n");
    auto response = co_await client.get(get_root(), on.in(5s));
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK_FALSE(client.reusable());
    auto text = co_await body_of(client);
    CHECK(text == "abc");
    auto second = co_await client.get(get_root(), on.in(5s));
    REQUIRE(second);
    CHECK(second->status == 304);
    CHECK(client.reusable());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a response cut short is told from one that ended", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    http::ClientConnection client(std::move(ends[0]));
    co_await say(*ends[1], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    ends[1]->shut_down_writes();
    auto response = co_await client.get(get_root(), on.in(5s));
    REQUIRE(response);
    auto piece = co_await client.read_body(on.in(5s));
    REQUIRE(piece);
    CHECK(as_text(*piece) == "abc");
    auto end = co_await client.read_body(on.in(5s));
    REQUIRE(!end);
    CHECK(end.error().code == Errc::Reset);
  };
  test::run(loop, body(loop));
}

TEST_CASE("no more than sixteen interim responses are waited through", "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    for (const int count : {16, 17}) {
      auto ends = test::socket_pair(on);
      http::ClientConnection client(std::move(ends[0]));
      std::string text;
      for (int i = 0; i < count; ++i) text += "HTTP/1.1 102 \r\n\r\n";
      co_await say(*ends[1], text + "HTTP/1.1 200 OK\r\n\r\n");
      auto response = co_await client.get(get_root(), on.in(5s));
      CHECK(response.has_value() == (count == 16));
      if (!response) CHECK(response.error().code == Errc::Limit);
    }
  };
  test::run(loop, body(loop));
}

TEST_CASE("a watched client that leaves closes the other side, one that sends does not",
          "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    auto other = test::socket_pair(on);
    http::ServerConnection server(std::move(ends[0]));
    co_await say(*ends[1], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    auto a = co_await server.read_request();
    REQUIRE(a);
    server.close_when_gone(other[0].get());
    co_await say(*ends[1], "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    auto b = co_await server.read_request();
    REQUIRE(b);
    CHECK(b->target == "/b");
    CHECK(other[0]->is_open());
    server.close_when_gone(other[0].get());
    ends[1]->close();
    auto ended = co_await hear(*other[0]);
    CHECK_FALSE(other[0]->is_open());
    CHECK(server.gone());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a watched connection can be destroyed, and its watch ends with it",
          "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    {
      http::ServerConnection server(std::move(ends[0]));
      server.close_when_gone(ends[1].get());
      CHECK(on.spawned() == 2);
    }
    auto heard = co_await hear(*ends[1]);
    CHECK(heard.empty());
    auto next_turn = co_await weir::sleep(on, 0ms);
    CHECK(next_turn);
    CHECK(on.spawned() == 1);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a drain ends who waits between two requests, and answers who has just connected",
          "[http][connection]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Sessions sessions(on);
    auto ends = test::socket_pair(on);
    http::ServerConnection server(std::move(ends[0]));
    sessions.drain();
    co_await say(*ends[1], "GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
    auto first = co_await server.read_request();
    REQUIRE(first);
    CHECK(first->target == "/first");
    CHECK(first->headers.find("Connection") == "close");

    auto read_on = Child(on);
    http::Parsed<http::Request> second = http::refuse(500, Errc::System, "not asked");
    auto read = [](http::ServerConnection& from, auto& into) -> Task<void> {
      into = co_await from.read_request();
    };
    read_on.start(read(server, second));
    co_await sleep(on, milliseconds{1});
    sessions.drain();
    co_await read_on.join();
    REQUIRE_FALSE(second);
    CHECK(second.error().status == 0);
  };
  test::run(loop, body(loop));
}
