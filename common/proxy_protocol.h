// common/proxy_protocol.h
// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): what a load balancer
// sends ahead of a connection's own bytes to say whose connection it is.
//
//     v1  PROXY TCP4 203.0.113.7 10.0.0.1 56324 1935\r\n           a line of at most 107 bytes
//     v2  | 12 bytes signature | version, command | family | length | addresses | TLVs |
//
// Threading: none. Bounds: a header of kMaxHeader bytes; what its TLVs say is skipped.
#pragma once

#include <optional>
#include <string>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::proxy_protocol {

constexpr std::size_t kMaxHeader = 2048;
constexpr std::size_t kMaxLine = 107;  // of version 1, with its end

struct End {
  std::string host;  // numeric
  std::uint16_t port = 0;
  bool operator==(const End&) const = default;
};

struct Header {
  std::size_t size = 0;  // bytes until the connection's own
  std::optional<End>
      client;  // none: the sender speaks for itself (LOCAL), or does not know (UNKNOWN)
};

// The header that `bytes` begin with; none while more bytes are needed. Errors: Protocol when there
// is none, Limit.
Result<std::optional<Header>> parse(ByteView bytes);

// Version 2 for a TCP connection from `client` to `server`; when one is of IPv6, both are written
// so. LOCAL if they are no numeric addresses.
ByteBuffer encode(const End& client, const End& server);

}  // namespace weir::proxy_protocol
