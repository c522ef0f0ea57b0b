#include "proxy/http_relay.h"

#include <catch2/catch.hpp>

#include "proxy/http_forwarding.h"
#include "test/proxy/http_relay_rig.h"

using namespace weir;
using namespace std::chrono_literals;
using test::HttpOrigin;
using test::HttpRig;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string ok(const http::Request&, const std::string&) {
  return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
}

std::string get(std::string_view path, std::string_view headers = "Connection: close\r\n") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a.org\r\n" + std::string(headers) +
         "\r\n";
}

}  // namespace

TEST_CASE("request line, query, Range and conditions reach the origin as they are",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRig rig(on, {{origin.port()}});
    auto heard =
        co_await rig.talk(get("/live/a.ts?token=%2F1&x",
                              "Range: bytes=0-1\r\nIf-None-Match: \"e\"\r\nUser-Agent: u\r\n"
                              "X-Request-Id: id-1\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
                              "Proxy-Authorization: secret\r\nTE: gzip\r\n"));
    CHECK(heard == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    REQUIRE(origin.requests.size() == 1);
    const http::Request& seen = origin.requests[0];
    CHECK(seen.method == "GET");
    CHECK(seen.target == "/live/a.ts?token=%2F1&x");
    CHECK(seen.headers.find("Host") == "a.org");
    CHECK(seen.headers.find("Range") == "bytes=0-1");
    CHECK(seen.headers.find("If-None-Match") == "\"e\"");
    CHECK(seen.headers.find("User-Agent") == "u");
    CHECK(seen.headers.find("X-Forwarded-For") == "127.0.0.1");
    CHECK(seen.headers.find("X-Forwarded-Proto") == "http");
    CHECK(seen.headers.find("X-Forwarded-Host") == "a.org");
    CHECK(seen.headers.find("X-Request-Id") == "id-1");
    CHECK(seen.headers.find("Via") == "1.1 weir");
    CHECK(seen.headers.find("CDN-Loop") == "weir");
    for (const char* name : {"Connection", "X-Hop", "Proxy-Authorization", "TE"})
      CHECK_FALSE(seen.headers.has(name));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what is forwarded for others is added to, and a bad request id is replaced",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    Admission admission(0, 0);
    admission.trust({.from = *CidrList::parse("loopback")});
    HttpRelayOptions options;
    options.admission = &admission;
    HttpRig rig(on, {{origin.port()}}, options);
    auto heard = co_await rig.talk(
        get("/live/a.ts",
            "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: "
            "https\r\nVia: 1.0 b\r\n"
            "CDN-Loop: other\r\nX-Request-Id: no spaces please\r\nConnection: close\r\n"));
    CHECK(has(heard, "200 OK"));
    REQUIRE(origin.requests.size() == 1);
    const http::Headers& seen = origin.requests[0].headers;
    CHECK(seen.find("X-Forwarded-For") == "1.2.3.4, 127.0.0.1");
    CHECK(seen.find("X-Forwarded-Proto") == "https");
    CHECK(seen.find("Forwarded") == "for=1.2.3.4, for=127.0.0.1;proto=http");
    CHECK(seen.find_all("Via").size() == 2);
    CHECK(seen.has_token("CDN-Loop", "other"));
    CHECK(seen.has_token("CDN-Loop", "weir"));
    CHECK(seen.find("X-Request-Id")->size() == 16);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what a client claims of hops before it is not believed and not passed on",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk(
        get("/live/a.ts",
            "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=\"\r\n"
            "X-Real-IP: 1.2.3.4\r\nX-Forwarded-Host: evil.org\r\nConnection: close\r\n"));
    CHECK(has(heard, "200 OK"));
    REQUIRE(origin.requests.size() == 1);
    const http::Headers& seen = origin.requests[0].headers;
    CHECK(seen.find("X-Forwarded-For") == "127.0.0.1");
    CHECK(seen.find("X-Forwarded-Proto") == "http");
    CHECK(seen.find("X-Forwarded-Host") == "a.org");
    CHECK_FALSE(seen.has("Forwarded"));
    CHECK_FALSE(seen.has("X-Real-IP"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("the origin's status and headers reach the client as they are", "[http_relay]") {
  const std::string answers[] = {
      "HTTP/1.1 404 Nope\r\nX-Why: gone\r\nContent-Length: 3\r\n\r\nbye",
      "HTTP/1.1 302 Found\r\nLocation: http://b/x\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 99\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
      "HTTP/1.1 599 \r\nContent-Length: 1\r\n\r\nx"};
  for (const std::string& answer : answers) {
    Loop loop;
    auto body = [](Loop& on, std::string expected) -> Task<void> {
      HttpOrigin origin(on, [&](const http::Request&, const std::string&) { return expected; });
      HttpRig rig(on, {{origin.port()}});
      auto heard = co_await rig.talk(get("/live/a.ts"));
      const std::size_t blank = expected.find("\r\n\r\n") + 2;
      CHECK(heard == expected.substr(0, blank) + "Connection: close\r\n" + expected.substr(blank));
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, answer));
  }
}

TEST_CASE("hop-by-hop fields of the origin stay behind, CORS is added where it says nothing",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request& request, const std::string&) {
      const std::string own =
          request.target == "/live/b.ts" ? "Access-Control-Allow-Origin: b\r\n" : "";
      return "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n" + own +
             "Content-Length: 0\r\n\r\n";
    });
    HttpRelayOptions options;
    options.cors = true;
    HttpRig rig(on, {{origin.port()}}, options);
    auto heard = co_await rig.talk(get("/live/a.ts"));
    CHECK(heard ==
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n"
          "Access-Control-Allow-Origin: *\r\n\r\n");
    auto own = co_await rig.talk(get("/live/b.ts"));
    CHECK(has(own, "Access-Control-Allow-Origin: b\r\n"));
    CHECK_FALSE(has(own, "Origin: *"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE(
    "HEAD and OPTIONS pass, and pipelined requests are answered in order over one origin "
    "connection",
    "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request& request, const std::string&) -> std::string {
      const std::string head = "HTTP/1.1 200 OK\r\nX-Path: " + request.target + "\r\n";
      if (request.method == "HEAD") return head + "Content-Length: 1000\r\n\r\n";
      return head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
    });
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk(
        "HEAD /live/a.ts HTTP/1.1\r\nHost: x\r\n\r\n"
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" +
        get("/"));
    CHECK(heard ==
          "HTTP/1.1 200 OK\r\nX-Path: /live/a.ts\r\nContent-Length: 1000\r\n\r\n"
          "HTTP/1.1 200 OK\r\nX-Path: *\r\nTransfer-Encoding: "
          "chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
          "HTTP/1.1 200 OK\r\nX-Path: /\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
          "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n");
    CHECK(origin.connections == 1);
    CHECK(rig.reused.value() == 2);
    CHECK(rig.relay.pool().size() == 1);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("bodies go up by length and in chunks, with 100 Continue", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request&, const std::string& got) {
      const std::string size = std::to_string(got.size());
      return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: " +
             std::to_string(size.size()) + "\r\n\r\n" + size;
    });
    HttpRig rig(on, {{origin.port()}});
    const std::string big(1'000'000, 'x');
    auto heard = co_await rig.talk(
        "POST /live/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        "1000000\r\n\r\n" +
        big +
        "PUT /live/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\n");
    CHECK(heard ==
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n1000000"
          "HTTP/1.1 100 Continue\r\n\r\n"
          "HTTP/1.1 201 Created\r\nContent-Length: 1\r\nConnection: close\r\n\r\n3");
    CHECK(origin.bodies == std::vector<std::string>{big, "abc"});
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("an HTTP/1.0 client gets content without chunks", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request&, const std::string&) -> std::string {
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
             "chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    });
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk("GET /live/a.flv HTTP/1.0\r\n\r\n");
    CHECK(heard == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
    CHECK(origin.requests.at(0).headers.has("Host"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a request that comes back is refused with 508 and not passed on", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRig rig(on, {{origin.port()}});
    auto heard =
        co_await rig.talk(get("/live/a.flv", "CDN-Loop: x, Weir;v=1\r\nConnection: close\r\n"));
    CHECK(heard.starts_with("HTTP/1.1 508 "));
    CHECK(origin.connections == 0);
    CHECK(rig.failures.value() == 1);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("bad heads and climbing paths are refused, without an origin's help", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, ok);
    HttpRig rig(on, {{origin.port()}});
    auto both = co_await rig.talk(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(both.starts_with("HTTP/1.1 400 "));
    auto climbing = co_await rig.talk(get("/live/../../etc/passwd"));
    CHECK(climbing.starts_with("HTTP/1.1 400 "));
    auto hidden = co_await rig.talk(get("/live%2fa.flv"));
    CHECK(hidden.starts_with("HTTP/1.1 400 "));
    CHECK(origin.connections == 0);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a request goes to the stream's key, other paths to vhost and path", "[http_relay]") {
  CHECK(http_route_key("a.org", "/live/cam.flv?x=1") == "a.org/live/cam");
  CHECK(http_route_key("127.0.0.1:80", "/index.html") == "__defaultVhost__/index.html");
  CHECK(http_route_key("a.org", "/") == "a.org/");
  CHECK(http_route_key("a.org", "*") == "a.org/*");
  const auto hashed = http_route_key("a.org", "/live/" + std::string(2000, 'x'));
  REQUIRE(hashed);
  CHECK(hashed->size() < 40);
  CHECK_FALSE(http_route_key("a.org", "/live/%2e%2e/x"));
}
