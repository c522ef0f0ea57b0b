#include "common/proxy_protocol.h"

#include <catch2/catch.hpp>

namespace {

using namespace weir;
using proxy_protocol::End;

ByteBuffer bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// Of version 2: the fixed part, then `rest`.
ByteBuffer binary(std::uint8_t command, std::uint8_t kind, std::size_t length, ByteBuffer rest) {
  ByteBuffer out = proxy_protocol::encode({}, {});
  out[12] = command;
  out[13] = kind;
  out[14] = static_cast<std::uint8_t>(length >> 8);
  out[15] = static_cast<std::uint8_t>(length);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

Errc error_of(ByteView bytes) {
  const auto parsed = proxy_protocol::parse(bytes);
  REQUIRE_FALSE(parsed);
  return parsed.error().code;
}

}  // namespace

TEST_CASE("a PROXY line names the client", "[proxy_protocol]") {
  const auto line = bytes_of("PROXY TCP4 203.0.113.7 10.0.0.1 56324 1935\r\n\x03");
  const auto parsed = proxy_protocol::parse(line);
  REQUIRE(parsed);
  REQUIRE(*parsed);
  CHECK((*parsed)->size == line.size() - 1);
  CHECK((*parsed)->client == End{"203.0.113.7", 56324});
  const auto six = proxy_protocol::parse(bytes_of("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"));
  CHECK((**six).client == End{"2001:db8::1", 1});
  const auto unknown = proxy_protocol::parse(bytes_of("PROXY UNKNOWN whatever there is\r\n"));
  CHECK_FALSE((**unknown).client);
  CHECK((**unknown).size == 33);
}

TEST_CASE("a PROXY header is read however it is cut", "[proxy_protocol]") {
  for (const auto& whole : {bytes_of("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"),
                            proxy_protocol::encode({"1.2.3.4", 9}, {"5.6.7.8", 10}),
                            proxy_protocol::encode({"2001:db8::1", 9}, {"5.6.7.8", 10})}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto part = proxy_protocol::parse(ByteView(whole).first(size));
      REQUIRE(part);
      CHECK_FALSE(*part);
    }
    const auto all = proxy_protocol::parse(whole);
    CHECK((**all).size == whole.size());
    CHECK((**all).client->port == 9);
  }
}

TEST_CASE("a PROXY line of 107 bytes is read, one that has no end by then is refused",
          "[proxy_protocol]") {
  std::string line = "PROXY UNKNOWN " + std::string(proxy_protocol::kMaxLine - 16, 'x') + "\r\n";
  REQUIRE(line.size() == proxy_protocol::kMaxLine);
  CHECK((**proxy_protocol::parse(bytes_of(line))).size == line.size());
  line.insert(14, "x");
  CHECK(error_of(bytes_of(line)) == Errc::Limit);
}

TEST_CASE("PROXY lines that name nobody are refused", "[proxy_protocol]") {
  for (const char* line :
       {"PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n", "PROXX", "GET / HTTP/1.1\r\n"})
    CHECK(error_of(bytes_of(line)) == Errc::Protocol);
}

TEST_CASE("a binary PROXY header may carry more than addresses", "[proxy_protocol]") {
  auto header = proxy_protocol::encode({"1.2.3.4", 9}, {"5.6.7.8", 10});
  header[15] = 12 + 7;
  header.insert(header.end(), 7, 0xee);
  const auto parsed = proxy_protocol::parse(header);
  CHECK((**parsed).size == header.size());
  CHECK((**parsed).client == End{"1.2.3.4", 9});
}

TEST_CASE("binary PROXY headers for other families and health checks name nobody",
          "[proxy_protocol]") {
  CHECK_FALSE((**proxy_protocol::parse(proxy_protocol::encode({}, {}))).client);
  const auto local = binary(0x20, 0x11, 12, ByteBuffer(12));
  CHECK_FALSE((**proxy_protocol::parse(local)).client);
  const auto unix_socket = binary(0x21, 0x31, 216, ByteBuffer(216));
  CHECK_FALSE((**proxy_protocol::parse(unix_socket)).client);
}

TEST_CASE("binary PROXY headers are refused when they are wrong or too long", "[proxy_protocol]") {
  CHECK(error_of(binary(0x21, 0x11, 11, ByteBuffer(11))) == Errc::Protocol);
  CHECK(error_of(binary(0x21, 0x21, 35, ByteBuffer(35))) == Errc::Protocol);
  CHECK(error_of(binary(0x11, 0x11, 12, ByteBuffer(12))) == Errc::Protocol);
  CHECK(error_of(binary(0x22, 0x11, 12, ByteBuffer(12))) == Errc::Protocol);
  const std::size_t most = proxy_protocol::kMaxHeader - 16;
  CHECK(proxy_protocol::parse(binary(0x21, 0x11, most, ByteBuffer(most))));
  CHECK(error_of(binary(0x21, 0x11, most + 1, {})) == Errc::Limit);
}

TEST_CASE("PROXY addresses of two families are both written as IPv6", "[proxy_protocol]") {
  const auto header = proxy_protocol::encode({"1.2.3.4", 9}, {"::1", 10});
  CHECK((**proxy_protocol::parse(header)).client == End{"::ffff:1.2.3.4", 9});
}
