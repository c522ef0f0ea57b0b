// What the relay does when a side fails, leaves, or takes long.
#include <catch2/catch.hpp>

#include "test/proxy/http_relay_rig.h"

using namespace weir;
using namespace std::chrono_literals;
using test::HttpOrigin;
using test::HttpRig;
using Then = test::HttpOrigin::Then;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string ok(const http::Request&, const std::string&) {
  return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
}

std::string nothing(const http::Request&, const std::string&) { return ""; }

const std::string kGet = "GET /live/a.flv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const std::string kPost =
    "POST /live/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";

Task<void> say(Socket& socket, std::string text) {
  auto sent = co_await socket.write(as_bytes(text), socket.loop().in(5s));
  CHECK(sent);
}

HttpRelayOptions hasty() {
  HttpRelayOptions options;
  options.dial.reply_timeout = 50ms;
  return options;
}

}  // namespace

TEST_CASE("an origin that refuses connections is passed over, whatever the method",
          "[http_relay]") {
  for (const std::string& request : {kGet, kPost}) {
    Loop loop;
    auto body = [](Loop& on, std::string raw) -> Task<void> {
      const test::RefusingPort dead;
      HttpOrigin origin(on, ok);
      HttpRig rig(on, {{dead.port(), 1}, {origin.port(), 0}});
      auto heard = co_await rig.talk(raw);
      CHECK(has(heard, "200 OK"));
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, request));
  }
}

TEST_CASE("an origin that does not answer is passed over for safe methods alone", "[http_relay]") {
  for (const Then then : {Then::Hold, Then::Close}) {
    Loop loop;
    auto body = [](Loop& on, Then after) -> Task<void> {
      HttpOrigin mute(on, nothing, after);
      HttpOrigin origin(on, ok);
      HttpRig rig(on, {{mute.port(), 1}, {origin.port(), 0}}, hasty());
      auto got = co_await rig.talk(kGet);
      CHECK(has(got, "200 OK"));
      CHECK(mute.connections == 1);
      // It was not ejected: what made it silent may be the request.
      auto posted = co_await rig.talk(kPost);
      CHECK(posted.starts_with(after == Then::Hold ? "HTTP/1.1 504 " : "HTTP/1.1 502 "));
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, then));
  }
}

TEST_CASE("nobody left is told with 502, 503 or 504", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const test::RefusingPort dead;
    HttpRig refusing(on, {{dead.port()}});
    auto refused = co_await refusing.talk(kGet);
    CHECK(refused.starts_with("HTTP/1.1 502 "));
    CHECK(has(refused, "X-Request-Id: "));
    HttpRig alone(on, {});
    auto none = co_await alone.talk(kGet);
    CHECK(none.starts_with("HTTP/1.1 503 "));
    HttpOrigin mute(on, nothing, Then::Hold);
    HttpRig waiting(on, {{mute.port()}}, hasty());
    auto late = co_await waiting.talk(kGet);
    CHECK(late.starts_with("HTTP/1.1 504 "));
    auto blocking = hasty();
    blocking.dial.reply_timeout = 5s;
    blocking.blocking_reply_timeout = 20ms;
    HttpRig playlist(on, {{mute.port()}}, blocking);
    auto reload = co_await playlist.talk(
        "GET /live/a.m3u8?_HLS_msn=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(reload.starts_with("HTTP/1.1 504 "));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a pooled connection that its origin gave up is replaced by a fresh one",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [n = 0](const http::Request&, const std::string&) mutable -> std::string {
      return ++n == 2 ? "" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    });
    HttpRig rig(on, {{origin.port()}}, hasty());
    auto first = co_await rig.talk(kGet);
    CHECK(rig.relay.pool().size() == 1);
    auto second = co_await rig.talk(kGet);  // not answered over the old connection
    CHECK(second == first);
    CHECK(origin.connections == 2);
    CHECK(rig.reused.value() == 1);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE(
    "a live response reaches the client as it comes, and a viewer who leaves ends it at the origin",
    "[http_relay]") {
  for (const std::string framing : {"", "Transfer-Encoding: chunked\r\n"}) {
    Loop loop;
    auto body = [](Loop& on, std::string header) -> Task<void> {
      const std::string data = header.empty() ? "FLV" : "3\r\nFLV\r\n";
      HttpOrigin origin(
          on,
          [&](const http::Request&, const std::string&) {
            return "HTTP/1.1 200 OK\r\n" + header + "\r\n" + data;
          },
          Then::Hold);
      HttpRig rig(on, {{origin.port()}});
      auto viewer = co_await rig.connect();
      co_await say(*viewer, "GET /live/a.flv HTTP/1.1\r\nHost: x\r\n\r\n");
      auto heard = co_await rig.hear(*viewer, data);
      CHECK(has(heard, "200 OK"));
      CHECK(has(heard, "Connection: close\r\n") == header.empty());
      viewer->close();
      auto left = co_await origin.left.wait(on.in(1s));
      CHECK(left);
      CHECK(rig.bytes_to_clients.value() == heard.size());
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, framing));
  }
}

TEST_CASE("a viewer who leaves before the answer ends the request too", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, nothing, Then::Hold);
    HttpRig rig(on, {{origin.port()}});
    auto viewer = co_await rig.connect();
    co_await say(*viewer, "GET /live/a.flv HTTP/1.1\r\nHost: x\r\n\r\n");
    while (origin.requests.empty()) {
      auto turn = co_await weir::sleep(on, 1ms);
      REQUIRE(turn);
    }
    viewer->close();
    auto left = co_await origin.left.wait(on.in(1s));
    CHECK(left);
    CHECK(rig.failures.value() == 0);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("an origin that dies inside a body cuts the client off", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(
        on,
        [](const http::Request&, const std::string&) -> std::string {
          return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
        },
        Then::Close);
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk("GET /live/a.flv HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(heard.ends_with("\r\n\r\n5\r\nab"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("an answer before the body's end is passed on, and ends the connection", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    // Never reads the body.
    auto rude = [](std::unique_ptr<Socket> socket) -> Task<void> {
      http::ServerConnection peer(std::move(socket));
      auto request = co_await peer.read_request();
      REQUIRE(request);
      auto sent = co_await peer.respond("HTTP/1.1 413 \r\nContent-Length: 0\r\n\r\n");
      CHECK(sent);
      auto more = co_await peer.read_request();
      CHECK(!more);
    };
    auto listener = test::listen_on(
        on, [&](std::unique_ptr<Socket> socket) { on.spawn(rude(std::move(socket))); });
    HttpRig rig(on, {{listener->port()}});
    auto heard = co_await rig.talk(
        "POST /live/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly a part");
    CHECK(heard == "HTTP/1.1 413 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    CHECK(rig.relay.pool().empty());
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a malformed or stuck request body is the client's fault", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRelayOptions options;
    options.times.idle = 20ms;
    HttpRig rig(on, {{origin.port()}}, options);
    const std::string post = "POST /live/a HTTP/1.1\r\nHost: x\r\n";
    auto bad = co_await rig.talk(post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n");
    CHECK(bad.starts_with("HTTP/1.1 400 "));
    auto stuck = co_await rig.talk(post + "Content-Length: 9\r\n\r\nx");
    CHECK(stuck.starts_with("HTTP/1.1 408 "));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a viewer that takes nothing costs a bounded amount, and is closed after the stall time",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request&, const std::string&) {
      return "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + std::string(50'000'000, 'x');
    });
    HttpRelayOptions options;
    options.stall = 50ms;
    HttpRig rig(on, {{origin.port()}}, options);
    auto viewer = co_await rig.connect();
    co_await say(*viewer, "GET /live/a.ts HTTP/1.1\r\nHost: x\r\n\r\n");
    auto left = co_await origin.left.wait(on.in(5s));
    CHECK(left);
    CHECK(rig.bytes_to_clients.value() < 20'000'000);  // the kernel's buffers, not ours
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a WebSocket is bytes both ways, and ends with either side", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto echo = [](std::unique_ptr<Socket> socket) -> Task<void> {
      http::ServerConnection peer(std::move(socket));
      auto request = co_await peer.read_request();
      REQUIRE(request);
      CHECK(http::is_websocket_upgrade(*request));
      auto sent = co_await peer.respond(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
          "websocket\r\n\r\nhello ");
      CHECK(sent);
      std::string said(as_text(peer.unread()));
      while (true) {
        auto echoed = co_await peer.respond(said);
        if (!echoed) break;
        auto got = co_await peer.socket().read(peer.loop().scratch(), peer.loop().in(5s));
        if (!got) break;
        said = as_text(peer.loop().scratch().first(*got));
      }
    };
    auto listener = test::listen_on(
        on, [&](std::unique_ptr<Socket> socket) { on.spawn(echo(std::move(socket))); });
    HttpRig rig(on, {{listener->port()}});
    auto viewer = co_await rig.connect();
    co_await say(
        *viewer,
        "GET /live/a.flv HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\nearly");
    auto heard = co_await rig.hear(*viewer, "hello early");
    CHECK(heard.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    CHECK(has(heard, "Upgrade: websocket\r\n"));
    co_await say(*viewer, "ping");
    auto pong = co_await rig.hear(*viewer, "ping");
    CHECK(pong == "ping");
    viewer->shut_down_writes();
    auto end = co_await rig.hear(*viewer, "never");
    CHECK(end == "<end>");
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a refused upgrade is an ordinary answer", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk(
        "GET /live/a.flv HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\n\r\n" +
        kGet);
    CHECK(has(heard, "\r\n\r\nokHTTP/1.1 200 OK"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}
