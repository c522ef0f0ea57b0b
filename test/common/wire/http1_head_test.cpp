#include "common/wire/http1_head.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::http;

namespace {

template <class Message>
Parsed<std::optional<Message>> read(std::string_view text, Limits limits = {}) {
  HeadReader<Message> reader(limits);
  ByteView input = as_bytes(text);
  return reader.next(input);
}

Request request(std::string_view text, Limits limits = {}) {
  auto head = read<Request>(text, limits);
  INFO(text);
  REQUIRE(head);
  REQUIRE(head->has_value());
  return std::move(**head);
}

Response response(std::string_view text) {
  auto head = read<Response>(text);
  INFO(text);
  REQUIRE(head);
  REQUIRE(head->has_value());
  return std::move(**head);
}

// The status a request is refused with; 0 when it is not.
int refused(std::string_view text, Limits limits = {}) {
  const auto head = read<Request>(text, limits);
  return head ? 0 : head.error().status;
}

int refused_with(std::string_view lines) {
  return refused("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n\r\n");
}

std::string x(std::size_t count) { return std::string(count, 'x'); }

}  // namespace

TEST_CASE("a request is read as it was sent", "[http1]") {
  const Request head =
      request("GET /live/a.flv?x=1 HTTP/1.1\r\nHost: a:80\r\nAccept:\t*/* \r\nEmpty:\r\n\r\n");
  CHECK(head.method == "GET");
  CHECK(head.target == "/live/a.flv?x=1");
  CHECK(head.minor_version == 1);
  CHECK(head.headers == Headers{{"Host", "a:80"}, {"Accept", "*/*"}, {"Empty", ""}});
}

TEST_CASE("a head that comes byte by byte is complete with its last byte, and the rest is left",
          "[http1]") {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestReader reader;
  CHECK(reader.idle());
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    ByteView input = as_bytes(text).subspan(i, 1);
    const auto head = reader.next(input);
    REQUIRE(head);
    REQUIRE_FALSE(head->has_value());
    CHECK_FALSE(reader.idle());
  }
  const std::string last = text.substr(text.size() - 1) + "GET /2";
  ByteView input = as_bytes(last);
  REQUIRE(reader.next(input).value().has_value());
  CHECK(as_text(input) == "GET /2");
  CHECK(reader.idle());
}

TEST_CASE("pipelined requests come one after the other", "[http1]") {
  const std::string text = "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestReader reader;
  ByteView input = as_bytes(text);
  CHECK(reader.next(input).value()->target == "/1");
  CHECK(reader.next(input).value()->target == "/2");
  CHECK(input.empty());
}

TEST_CASE("targets have origin-form, absolute-form or are OPTIONS' asterisk", "[http1]") {
  for (const char* target :
       {"/", "/a?b", "//a", "http://a", "HTTPS://a:1/b?c", "http://[::1]?q", "/\xc3\xa4"}) {
    CHECK(refused("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
  }
  CHECK(refused("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
  for (const char* target : {"*", "a", "a:80", "ftp://a/", "http://", "http:///a", "http://u@a/",
                             "/a b", "/a#b", "/\x7f", ""}) {
    INFO(target);
    CHECK(refused("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  }
  CHECK(refused("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
}

TEST_CASE("only HTTP/1.0 and HTTP/1.1 are spoken", "[http1]") {
  CHECK(refused("PRI * HTTP/2.0\r\n\r\n") == 505);
  CHECK(refused("GET / HTTP/1.2\r\n") == 505);
  CHECK(refused("GET / HTTP/0.9\r\n") == 505);
  for (const char* line : {"GET /", "GET / HTTP/11", "GET / http/1.1", "GET / HTTP/1.1 ", "GET",
                           " GET / HTTP/1.1", "G(T / HTTP/1.1"}) {
    INFO(line);
    CHECK(refused(std::string(line) + "\r\n") == 400);
  }
}

TEST_CASE("lines end with CRLF and hold no control bytes", "[http1]") {
  CHECK(refused("GET / HTTP/1.1\nHost: a\n\n") == 400);
  CHECK(refused_with("A: b\nC: d") == 400);
  CHECK(refused_with("A: b\rC: d") == 400);
  CHECK(refused_with(std::string_view("A: b\0c", 6)) == 400);
  CHECK(refused_with("A: \x01") == 400);
  CHECK(refused_with("A: \x7f") == 400);
  CHECK(refused_with("A: b\tc \xff") == 0);
}

TEST_CASE("a bad line is refused at once, not at the end of the head", "[http1]") {
  CHECK(refused("GET / HTTP/1.1\r\nHost : a\r\n") == 400);
}

TEST_CASE("header names are tokens with nothing before the colon", "[http1]") {
  for (const char* line :
       {"A : b", " A: b", "\tA: b", "A: b\r\n c", ": b", "nocolon", "A(: b", "\xc3\xa4: b"}) {
    INFO(line);
    CHECK(refused_with(line) == 400);
  }
}

TEST_CASE("Host is there once in HTTP/1.1, and is an authority", "[http1]") {
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.0\r\n\r\n") == 0);
  CHECK(refused_with("host: a") == 400);
  for (const char* host : {"", "a", "a:80", "[::1]:80", "a_b.c-d"}) {
    CHECK(refused("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n") == 0);
  }
  for (const char* host : {"a b", "a/b", "u@a", "a:x", "a:123456", "[::1", "[]", ":80", "a,b"}) {
    INFO(host);
    CHECK(refused("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n") == 400);
  }
}

TEST_CASE("framing that two parties could read differently is refused", "[http1]") {
  for (const char* lines :
       {"Content-Length: 1\r\nTransfer-Encoding: chunked", "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1", "Content-Length: -1", "Content-Length:", "Content-Length: 1, 1",
        "Content-Length: 1 1", "Content-Length: 0x1", "Content-Length: 9223372036854775808",
        "Content-Length: 18446744073709551617", "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked", "Transfer-Encoding:"}) {
    INFO(lines);
    CHECK(refused_with(lines) == 400);
  }
  CHECK(refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(refused_with("Content-Length: 9223372036854775807") == 0);
  CHECK(refused_with("Transfer-Encoding: CHUNKED") == 0);
}

TEST_CASE("Content-Lengths of a response that agree become one, those of a request are refused",
          "[http1]") {
  const std::string twice = "Content-Length: 5\r\ncontent-length: 5\r\n\r\n";
  const Response head = response("HTTP/1.1 200 OK\r\n" + twice);
  CHECK(head.headers.find_all("Content-Length").size() == 1);
  CHECK(refused("POST / HTTP/1.1\r\nHost: a\r\n" + twice) == 400);
}

TEST_CASE("a first line may have 8 KiB and no byte more", "[http1]") {
  const std::size_t room = 8192 - std::string_view("GET / HTTP/1.1").size();
  CHECK(refused("GET /" + x(room) + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
  CHECK(refused("GET /" + x(room + 1) + " HTTP/1.1\r\n") == 414);
  CHECK(refused(x(8193)) == 414);  // does not wait for the end of the line
}

TEST_CASE("a header may have 8 KiB and no byte more", "[http1]") {
  CHECK(refused_with("A: " + x(8189)) == 0);
  CHECK(refused_with("A: " + x(8190)) == 431);
}

TEST_CASE("a head may have 32 KiB and no byte more", "[http1]") {
  const auto head = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
    while (size - text.size() > 6000) text += "A: " + x(4091) + "\r\n";
    text += "B: " + x(size - text.size() - 7) + "\r\n\r\n";
    REQUIRE(text.size() == size);
    return text;
  };
  CHECK(refused(head(32 * 1024)) == 0);
  CHECK(refused(head(32 * 1024 + 1)) == 431);
}

TEST_CASE("a head may have 64 headers and no more", "[http1]") {
  const auto lines = [](int count) {
    std::string text = "A: b";
    while (--count > 0) text += "\r\nA: b";
    return text;
  };
  CHECK(refused_with(lines(63)) == 0);
  CHECK(refused_with(lines(64)) == 431);
}

TEST_CASE("four empty lines before a request are forgiven, a fifth is not", "[http1]") {
  CHECK(refused("\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n") == 0);
  CHECK(refused("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n") == 400);
}

TEST_CASE("a refusal is repeated and tells limit from protocol", "[http1]") {
  RequestReader reader;
  ByteView input = as_bytes("GET\r\n");
  CHECK(reader.next(input).error().code == Errc::Protocol);
  ByteView more = as_bytes("GET / HTTP/1.0\r\n\r\n");
  CHECK_FALSE(reader.next(more));
  const Result<std::optional<Request>> plain = read<Request>(x(9000));
  CHECK(plain.error().code == Errc::Limit);
}

TEST_CASE("a response may lack its reason, and keeps any status of three digits", "[http1]") {
  CHECK(response("HTTP/1.1 200 OK fine\r\n\r\n").reason == "OK fine");
  CHECK(response("HTTP/1.1 404 \r\n\r\n").reason.empty());
  CHECK(response("HTTP/1.0 404\r\n\r\n").status == 404);
  CHECK(response("HTTP/1.1 999 x\r\n\r\n").status == 999);
  CHECK(response("HTTP/1.1 200 OK\r\nServer : x\r\n\r\n").headers.find("server") == "x");
}

TEST_CASE("a bad response is a bad gateway", "[http1]") {
  for (const char* text :
       {"ICY 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 099 x\r\n",
        "HTTP/2.0 200 OK\r\n", "HTTP/1.1  200 OK\r\n", "\r\n", "HTTP/1.1\r\n", "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    INFO(text);
    const auto head = read<Response>(text);
    REQUIRE_FALSE(head);
    CHECK(head.error().status == 502);
  }
}
