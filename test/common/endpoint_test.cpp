#include "common/endpoint.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

const char* const kSender = "10.1.2.3";

Endpoint endpoint(std::string_view text, std::uint16_t default_port = 0) {
  const auto result = parse_endpoint(text, kSender, default_port);
  INFO(text);
  REQUIRE(result);
  return *result;
}

Endpoint listen(std::string_view text) {
  const auto result = parse_listen(text);
  INFO(text);
  REQUIRE(result);
  return *result;
}

bool allowed(std::string_view list, std::string_view address) {
  const auto parsed = CidrList::parse(list);
  INFO(list);
  REQUIRE(parsed);
  return parsed->contains(address);
}

}  // namespace

TEST_CASE("an address to listen on is a port, a host and a port, or a bracketed v6 and a port",
          "[endpoint]") {
  CHECK(listen("1935") == Endpoint{"", 1935});
  CHECK(listen(":1935") == Endpoint{"", 1935});
  CHECK(listen("127.0.0.1:12025") == Endpoint{"127.0.0.1", 12025});
  CHECK(listen("[::1]:80") == Endpoint{"::1", 80});
  CHECK(listen("0.0.0.0:80") == Endpoint{"0.0.0.0", 80});
  CHECK(listen("127.0.0.1:0").port == 0);
  CHECK(parse_listen("1935", "127.0.0.1")->host == "127.0.0.1");
}

TEST_CASE("an address to listen on must name its port", "[endpoint]") {
  for (const char* text : {"", "localhost", "[::1]", "tcp://1.2.3.4:80"}) {
    INFO(text);
    CHECK_FALSE(parse_listen(text));
  }
}

TEST_CASE("an origin's endpoint is understood in every form heartbeats use", "[endpoint]") {
  CHECK(endpoint("1935") == Endpoint{kSender, 1935});
  CHECK(endpoint(":1935") == Endpoint{kSender, 1935});
  CHECK(endpoint("srs:1935") == Endpoint{"srs", 1935});
  CHECK(endpoint("tcp://192.0.2.1:1935") == Endpoint{"192.0.2.1", 1935});
  CHECK(endpoint("[2001:DB8:0::1]:80") == Endpoint{"2001:db8::1", 80});
  CHECK(endpoint("Origin-1.Example:80").host == "origin-1.example");
}

TEST_CASE("a wildcard host means the default host", "[endpoint]") {
  for (const char* text : {"udp://0.0.0.0:8001", "[::]:8001", "[0:0::0]:8001", "udp://:8001"}) {
    CHECK(endpoint(text) == Endpoint{kSender, 8001});
  }
  CHECK_FALSE(parse_endpoint("0.0.0.0:80", ""));
  CHECK_FALSE(parse_endpoint("80", "not a host"));
}

TEST_CASE("a port that is not named is the scheme's, else the default", "[endpoint]") {
  CHECK(endpoint("rtmp://a", 99).port == 1935);
  CHECK(endpoint("http://a", 99).port == 80);
  CHECK(endpoint("a", 99).port == 99);
  CHECK(endpoint("[::1]", 99) == Endpoint{"::1", 99});
  CHECK(endpoint("a").port == 0);
}

TEST_CASE("ports are 1 to 65535 and nothing but digits", "[endpoint]") {
  CHECK(endpoint("a:1").port == 1);
  CHECK(endpoint("a:65535").port == 65535);
  for (const char* text :
       {"0",    "a:0",    "a:65536", "a:4294967297", "a:-1",      "a:+1",         "a: 1",
        "a:1 ", "a:",     ":",       "a:1x",         "a:0x50",    "http://a:80/", "[::1]80",
        "[::1", "[a]:80", "::1",     "a:1:2",        "ftp://a:1", "user@a:1",     "a b:1"}) {
    INFO(text);
    CHECK_FALSE(parse_endpoint(text, kSender));
  }
}

TEST_CASE("host names are letters, digits, hyphens and underscores within their lengths",
          "[endpoint]") {
  const std::string label(63, 'a');
  std::string longest = label + "." + label + "." + label + "." + std::string(63, 'b');
  REQUIRE(longest.size() == 255);
  for (const std::string& host :
       {std::string("a"), std::string("my_origin"), std::string("a.example."), std::string("1a.2b"),
        label, longest, std::string("1.2.3.4"), std::string("::1")}) {
    INFO(host);
    CHECK(is_host(host));
  }
  for (const std::string& host :
       {std::string(), std::string("."), std::string("a..b"), std::string("-a"), std::string("a-"),
        label + "a", longest + ".", std::string("a\0b", 3), std::string("ä"), std::string("a/b")}) {
    INFO(host);
    CHECK_FALSE(is_host(host));
  }
}

TEST_CASE("a number is no host unless it is a whole IPv4 address", "[endpoint]") {
  for (const char* host : {"2130706433", "127.1", "0x7f000001", "0x7f.0x1", "256.0.0.1",
                           "1.2.3.4.5", "01.2.3.4", "a.1"}) {
    INFO(host);
    CHECK_FALSE(is_host(host));
  }
}

TEST_CASE("an endpoint is written with brackets around IPv6", "[endpoint]") {
  CHECK(to_string({"a", 1}) == "a:1");
  CHECK(to_string({"::1", 80}) == "[::1]:80");
  CHECK(to_string({"", 80}) == ":80");
}

TEST_CASE("a block holds its addresses and no neighbour", "[endpoint]") {
  CHECK(allowed("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(allowed("10.0.0.0/8", "11.0.0.0"));
  CHECK(allowed("192.0.2.128/25", "192.0.2.128"));
  CHECK_FALSE(allowed("192.0.2.128/25", "192.0.2.127"));
  CHECK(allowed("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(allowed("192.0.2.7", "192.0.2.6"));
  CHECK(allowed("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(allowed("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(allowed("0.0.0.0/0", "203.0.113.1"));
}

TEST_CASE("a mapped IPv4 address is IPv4", "[endpoint]") {
  CHECK(allowed("10.0.0.0/8", "::ffff:10.0.0.1"));
  CHECK(allowed("::ffff:10.0.0.0/104", "10.0.0.1"));
  CHECK_FALSE(allowed("::/0", "10.0.0.1"));
  CHECK_FALSE(allowed("0.0.0.0/0", "::1"));
}

TEST_CASE("addresses match as bytes too", "[endpoint]") {
  const auto block = parse_cidr("10.0.0.0/8");
  REQUIRE(block);
  const std::uint8_t inside[] = {10, 1, 2, 3};
  const std::uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
  CHECK(block->contains(ByteView(inside)));
  CHECK(block->contains(ByteView(mapped)));
  CHECK_FALSE(block->contains(ByteView(inside).first(3)));
}

TEST_CASE("the words loopback and private name their blocks", "[endpoint]") {
  for (const char* in : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    CHECK(allowed("loopback", in));
  for (const char* in :
       {"10.0.0.1", "172.31.0.1", "192.168.1.1", "169.254.1.1", "fd00::1", "fe80::1%eth0"}) {
    CHECK(allowed("private", in));
  }
  for (const char* out : {"172.32.0.1", "8.8.8.8", "2001:db8::1", "", "junk", "localhost"}) {
    CHECK_FALSE(allowed("loopback, private", out));
  }
  CHECK(allowed(" loopback,\t192.0.2.1 private", "192.0.2.1"));
  CHECK_FALSE(allowed("", "127.0.0.1"));
}

TEST_CASE("a mistake in a list of blocks is told", "[endpoint]") {
  for (const char* text : {"10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1",
                           "10.0.0/8", "/8", "everyone", "10.0.0.0/8/8", "::ffff:0:0/95"}) {
    INFO(text);
    CHECK_FALSE(CidrList::parse(text));
  }
  CHECK(parse_cidr("10.0.0.0/32"));
  CHECK(parse_cidr("::/128"));
}
