// common/io/address.h
// Where a socket is or goes: an IPv4 or IPv6 address and a port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "common/error.h"

namespace weir {

class Address {
 public:
  Address() = default;
  // From numeric text such as "127.0.0.1" or "::1"; an empty host is every IPv6 and IPv4 address.
  // Errors: Protocol.
  static Result<Address> parse(const std::string& host, std::uint16_t port);
  static Address of(const sockaddr* address, socklen_t length);
  static Address of_peer(int fd);
  static Address of_socket(int fd);

  const sockaddr* raw() const { return &any_; }
  socklen_t length() const;
  int family() const { return any_.sa_family; }
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  // Without the port and, for an IPv4 address mapped into IPv6, in its IPv4 form.
  std::string host() const;
  std::string text() const;

 private:
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_ = {};
  };
};

}  // namespace weir
