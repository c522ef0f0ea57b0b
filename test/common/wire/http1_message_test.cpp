#include <catch2/catch.hpp>

#include "common/wire/http1.h"
#include "common/wire/http1_via.h"

using namespace weir::http;

namespace {

Request with(Headers headers) {
  return {.method = "GET", .target = "/", .headers = std::move(headers)};
}

BodyFraming answer_framing(int status, Headers headers, std::string_view method = "GET") {
  return framing_of(Response{.status = status, .headers = std::move(headers)}, method);
}

}  // namespace

TEST_CASE("headers are found without case and keep their order", "[http1]") {
  Headers headers{{"A", "1"}, {"b", "2"}, {"a", "3"}};
  CHECK(headers.find("a") == "1");
  CHECK(headers.find_all("A").size() == 2);
  CHECK_FALSE(headers.has("c"));
  headers.set("a", "4");
  CHECK(headers == Headers{{"A", "4"}, {"b", "2"}});
  headers.set("C", "5");
  CHECK(headers.remove("B") == 1);
  CHECK(headers == Headers{{"A", "4"}, {"C", "5"}});
}

TEST_CASE("a token is found in any field of its name, and only whole", "[http1]") {
  const Headers headers{{"Connection", "keep-alive , x"}, {"connection", ",Close"}};
  CHECK(headers.has_token("Connection", "close"));
  CHECK(headers.has_token("Connection", "Keep-Alive"));
  CHECK_FALSE(headers.has_token("Connection", "keep"));
}

TEST_CASE("a value cannot start a line of its own", "[http1]") {
  Headers headers;
  headers.add("A", "b\r\nEvil: 1");
  CHECK(headers.find("A") == "b  Evil: 1");
  std::string out;
  write(Request{.method = "GET", .target = "/a b\r\nX: 1"}, out);
  CHECK(out == "GET /a%20b%0D%0AX:%201 HTTP/1.1\r\n\r\n");
  out.clear();
  write(Response{.reason = "a\r\nb"}, out);
  CHECK(out == "HTTP/1.1 200 a  b\r\n\r\n");
}

TEST_CASE("a request's body is chunked, has a length, or is not there", "[http1]") {
  CHECK(framing_of(with({{"Transfer-Encoding", "chunked"}})) ==
        BodyFraming{BodyFraming::Chunked, 0});
  CHECK(framing_of(with({{"Content-Length", "5"}})) == BodyFraming{BodyFraming::Length, 5});
  CHECK(framing_of(with({})).kind == BodyFraming::None);
}

TEST_CASE("a response's body ends as RFC 9112 6.3 says", "[http1]") {
  const Headers five{{"Content-Length", "5"}};
  CHECK(answer_framing(200, five) == BodyFraming{BodyFraming::Length, 5});
  CHECK(answer_framing(200, {}).kind == BodyFraming::UntilClose);
  CHECK(answer_framing(200, {{"Transfer-Encoding", "chunked"}}).kind == BodyFraming::Chunked);
  CHECK(answer_framing(200, five, "HEAD").kind == BodyFraming::None);
  for (const int status : {100, 101, 199, 204, 304})
    CHECK(answer_framing(status, five).kind == BodyFraming::None);
  CHECK(answer_framing(200, five, "CONNECT").kind == BodyFraming::UntilClose);
}

TEST_CASE("framing is announced by one field", "[http1]") {
  Headers headers{{"Content-Length", "5"}};
  set_framing(headers, {BodyFraming::Chunked, 0});
  CHECK(headers == Headers{{"Transfer-Encoding", "chunked"}});
  set_framing(headers, {BodyFraming::Length, 7});
  CHECK(headers == Headers{{"Content-Length", "7"}});
  set_framing(headers, {});
  CHECK(headers.has("Content-Length"));
  set_framing(headers, {BodyFraming::UntilClose, 0});
  CHECK(headers.empty());
}

TEST_CASE("connections persist by version and Connection", "[http1]") {
  CHECK(keeps_alive(with({})));
  CHECK_FALSE(keeps_alive(with({{"Connection", "close"}})));
  CHECK_FALSE(keeps_alive(Response{.minor_version = 0}));
  CHECK(keeps_alive(Response{.minor_version = 0, .headers = {{"Connection", "keep-alive"}}}));
}

TEST_CASE("what concerns one hop is removed, with what Connection names", "[http1]") {
  Headers headers{{"Connection", "close, X-A"},
                  {"connection", "x-b"},
                  {"X-A", "1"},
                  {"X-B", "1"},
                  {"Keep-Alive", "1"},
                  {"Proxy-Connection", "x"},
                  {"Proxy-Authorization", "x"},
                  {"Proxy-Authenticate", "x"},
                  {"TE", "trailers"},
                  {"Upgrade", "h2c"},
                  {"HTTP2-Settings", "x"},
                  {"Transfer-Encoding", "chunked"},
                  {"Trailer", "X"},
                  {"X-C", "1"}};
  remove_hop_by_hop(headers);
  CHECK(headers == Headers{{"Trailer", "X"}, {"X-C", "1"}});
}

TEST_CASE("Connection cannot remove length, host or the loop marks", "[http1]") {
  Headers headers{{"Connection", "content-length, host, cdn-loop, via"},
                  {"Content-Length", "5"},
                  {"Host", "a"},
                  {"CDN-Loop", "x"},
                  {"Via", "1.1 x"}};
  remove_hop_by_hop(headers);
  CHECK(headers.size() == 4);
}

TEST_CASE("a WebSocket upgrade passes when it is kept", "[http1]") {
  Request request = with({{"Connection", "keep-alive, Upgrade"},
                          {"Upgrade", "websocket"},
                          {"Sec-WebSocket-Key", "x"}});
  REQUIRE(is_websocket_upgrade(request));
  remove_hop_by_hop(request.headers, Upgrade::Keep);
  CHECK(is_websocket_upgrade(request));
  CHECK(request.headers.find("Connection") == "Upgrade");
  request.minor_version = 0;
  CHECK_FALSE(is_websocket_upgrade(request));
}

TEST_CASE("a target falls into authority, path and query", "[http1]") {
  Request request = with({{"Host", "h:1"}});
  request.target = "/a/b?c?d";
  CHECK(target_of(request).authority == "h:1");
  CHECK(target_of(request).path == "/a/b");
  CHECK(target_of(request).query == "c?d");
  request.target = "http://x:2?q";
  CHECK(target_of(request).authority == "x:2");
  CHECK(target_of(request).path == "/");
  CHECK(target_of(request).query == "q");
  request.target = "/a?u=http://x/y";
  CHECK(target_of(request).path == "/a");
}

TEST_CASE("a simple response is complete", "[http1]") {
  CHECK(simple_response(404, "text/plain", "no\n", {{"Connection", "close"}}) ==
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: "
        "text/plain\r\nContent-Length: 3\r\n\r\nno\n");
  CHECK(simple_response(204, "", "ignored") == "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST_CASE("CDN-Loop is a list of ids with parameters", "[http1]") {
  const auto ids = parse_cdn_loop(
      "foo123.foocdn.example, barcdn.example; trace=\"a,\\\"b\";x=y,,AnotherCDN , h:80");
  REQUIRE(ids);
  CHECK(*ids == std::vector<std::string_view>{"foo123.foocdn.example", "barcdn.example",
                                              "AnotherCDN", "h:80"});
  for (const char* value : {"a b", "a; x", "a; x=\"y", "a; x=\"y\"z", "\"a\"", ";x=y"}) {
    INFO(value);
    CHECK_FALSE(parse_cdn_loop(value));
  }
}

TEST_CASE("a loop is found without case, and broken bytes before the id do not hide it",
          "[http1]") {
  Headers headers{{"CDN-Loop", "a;x=\"weir-1\""}};
  CHECK_FALSE(cdn_loop_contains(headers, "weir-1"));
  add_cdn_loop(headers, "weir-1");
  CHECK(cdn_loop_contains(headers, "WEIR-1"));
  CHECK(cdn_loop_contains({{"CDN-Loop", "a;x=\"y, weir-1;v=1"}}, "weir-1"));
}

TEST_CASE("Via grows by the version received and the name", "[http1]") {
  Headers headers;
  add_via(headers, 0, "weir");
  CHECK(headers.find("Via") == "1.0 weir");
}
