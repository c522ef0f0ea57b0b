#include "common/io/address.h"

#include <arpa/inet.h>

#include <cstring>

namespace weir {

Result<Address> Address::parse(const std::string& host, std::uint16_t port) {
  Address address;
  if (host.empty()) {
    address.v6_.sin6_family = AF_INET6;
    address.v6_.sin6_addr = in6addr_any;
  } else if (inet_pton(AF_INET, host.c_str(), &address.v4_.sin_addr) == 1) {
    address.v4_.sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, host.c_str(), &address.v6_.sin6_addr) == 1) {
    address.v6_.sin6_family = AF_INET6;
  } else {
    return fail(Errc::Protocol, "not a numeric address: " + host);
  }
  address.set_port(port);
  return address;
}

Address Address::of(const sockaddr* from, socklen_t length) {
  Address address;
  const bool v4 = from->sa_family == AF_INET && length >= sizeof(sockaddr_in);
  const bool v6 = from->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6);
  if (v4) std::memcpy(&address.v4_, from, sizeof(sockaddr_in));
  if (v6) std::memcpy(&address.v6_, from, sizeof(sockaddr_in6));
  return address;
}

namespace {

using NameOf = int (*)(int, sockaddr*, socklen_t*);

Address name_of(int fd, NameOf lookup) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  auto* raw = reinterpret_cast<sockaddr*>(&storage);
  if (lookup(fd, raw, &length) != 0) return {};
  return Address::of(raw, length);
}

}  // namespace

Address Address::of_peer(int fd) { return name_of(fd, getpeername); }
Address Address::of_socket(int fd) { return name_of(fd, getsockname); }

socklen_t Address::length() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

// sin_port and sin6_port stand at the same place.
std::uint16_t Address::port() const { return ntohs(v4_.sin_port); }
void Address::set_port(std::uint16_t port) { v4_.sin_port = htons(port); }

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &v4_.sin_addr, text, sizeof(text));
  } else if (IN6_IS_ADDR_V4MAPPED(&v6_.sin6_addr)) {
    inet_ntop(AF_INET, v6_.sin6_addr.s6_addr + 12, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &v6_.sin6_addr, text, sizeof(text));
  }
  return text;
}

std::string Address::text() const {
  const std::string host_text = host();
  const bool bracket = host_text.find(':') != std::string::npos;
  return (bracket ? "[" + host_text + "]" : host_text) + ":" + std::to_string(port());
}

}  // namespace weir
