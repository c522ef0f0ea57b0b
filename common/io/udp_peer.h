// common/io/udp_peer.h
// Whom a datagram came from and which of our addresses it was sent to. A reply goes back from that
// very address: a host has several, and a client takes answers only from the one it wrote to.
//
// Threading: values. Addresses compare and hash by family, address and port, for tables by peer.
#pragma once

#include <cstring>

#include "common/io/address.h"

namespace weir {

struct UdpPeer {
  Address address;
  in6_addr local{};  // ours, IPv4 mapped into IPv6; all zero: the kernel chooses
};

inline bool same_address(const Address& a, const Address& b) {
  return a.family() == b.family() && std::memcmp(a.raw(), b.raw(), a.length()) == 0;
}

struct AddressEqual {
  bool operator()(const Address& a, const Address& b) const { return same_address(a, b); }
};

struct AddressHash {
  std::size_t operator()(const Address& address) const {
    // An odd multiplier spreads the low bits, in which neighbouring clients differ, over the word.
    constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;
    std::uint64_t words[4] = {};
    std::memcpy(words, address.raw(), address.length());
    std::uint64_t hash = 0;
    for (const auto word : words) hash = (hash ^ word ^ (hash >> 32)) * kSpread;
    return static_cast<std::size_t>(hash ^ (hash >> 29));
  }
};

}  // namespace weir
