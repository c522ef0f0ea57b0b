// common/endpoint.h
// Where to listen and whom to connect to, as people and heartbeats write it; and which addresses
// are allowed.
//
// Host names are lower case and IPv6 addresses in their shortest form once parsed, so that
// endpoints which mean the same compare equal. A host that ends in a number must be an IPv4 address
// in dotted decimal: resolvers take `0x7f.1` and `2130706433` for addresses too, which would slip
// through lists of allowed ones.
//
// Threading: values and pure functions. Bounds: host names of 255 bytes, lists as long as their
// text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"

namespace weir {

struct Endpoint {
  std::string host;  // name or address, IPv6 without brackets; empty: every address of this machine
  std::uint16_t port = 0;
  bool tls = false;  // whom to connect to that way

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "host:1935", "[::1]:1935", ":1935".
std::string to_string(const Endpoint& endpoint);
// The same, behind `tls://` when that is wanted: what parse_endpoint takes back.
std::string to_url(const Endpoint& endpoint);

// Whether a name or address without brackets can be a host.
bool is_host(std::string_view text);

// `1935`, `:1935`, `host:1935`, `[::1]:1935`; the first two get `default_host`. Port 0 lets the
// kernel choose. Errors: Errc::Protocol, with the text at fault.
Result<Endpoint> parse_listen(std::string_view text, std::string_view default_host = "");

// Where to connect to: the forms of parse_listen, `host` and `[::1]` alone, and each of these
// behind `tcp://`, `udp://`, `rtmp://` (port 1935 unless named), `http://` (80), or, over TLS,
// `tls://`, `rtmps://` (443) or `https://` (443). No host or a wildcard (0.0.0.0, ::) means `default_host`, which for a heartbeat is the sender. Ports are 1 to
// 65535; `default_port` stands in for one that is not named, and 0 there tells the caller so.
// Errors: Errc::Protocol; also when `default_host` is needed and is not a host.
Result<Endpoint> parse_endpoint(std::string_view text, std::string_view default_host,
                                std::uint16_t default_port = 0);

// Several, comma separated, each with its port; an empty text is none. Errors: as parse_endpoint.
inline constexpr std::size_t kMaxEndpoints = 64;
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

// A block of addresses. IPv4 addresses that come as IPv6 (::ffff:10.0.0.1, as dual-stack sockets
// tell them) are IPv4 here, so ::/0 does not match them.
struct Cidr {
  std::array<std::uint8_t, 16> network{};  // IPv4 as ::ffff:0:0/96
  std::uint8_t bits = 128;                 // of the 128
  bool is_v4 = false;

  // 4 or 16 bytes in network order; other sizes never match.
  bool contains(ByteView address) const;
  // An address without brackets or port, with or without %zone; other text never matches.
  bool contains(std::string_view address) const;

  friend bool operator==(const Cidr&, const Cidr&) = default;
};

// `10.0.0.0/8`, `fd00::/8`, or a single address. Errors: Errc::Protocol; bits set behind the prefix
// are a mistake too.
Result<Cidr> parse_cidr(std::string_view text);

// Separated by commas or white space: blocks, `loopback` (127.0.0.0/8, ::1) and `private` (RFC
// 1918, fc00::/7 and link-local of both families). Empty text allows nobody.
class CidrList {
 public:
  static Result<CidrList> parse(std::string_view text);

  bool contains(ByteView address) const;
  bool contains(std::string_view address) const;
  bool empty() const { return blocks_.empty(); }

 private:
  std::vector<Cidr> blocks_;
};

}  // namespace weir
