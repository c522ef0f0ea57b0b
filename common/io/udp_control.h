// common/io/udp_control.h
// What the kernel tells beside a datagram, and is told: the address of ours it was sent to, and the
// size of the packets that it has joined or is to cut (UDP_GRO, UDP_SEGMENT; udp(7), ip(7)).
//
// Threading: pure functions. Bounds: Control has room for one of each.
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "common/io/udp_peer.h"

namespace weir::udp {

// Room for the address a packet was sent to and for the size of its run's packets.
inline constexpr std::size_t kControl = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int));

struct alignas(cmsghdr) Control {
  std::array<std::uint8_t, kControl> bytes;
};

inline bool is_any(const in6_addr& address) { return IN6_IS_ADDR_UNSPECIFIED(&address); }

inline in6_addr mapped(const in_addr& v4) {
  in6_addr address{};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  std::memcpy(address.s6_addr + 12, &v4, sizeof(v4));
  return address;
}

template <class T>
T value_of(const cmsghdr& field) {
  T value{};
  std::memcpy(&value, CMSG_DATA(&field), sizeof(value));
  return value;
}

struct Arrived {
  in6_addr local{};
  std::size_t segment = 0;  // 0: one packet
};

inline Arrived read_control(msghdr& message) {
  Arrived arrived;
  for (cmsghdr* field = CMSG_FIRSTHDR(&message); field != nullptr;
       field = CMSG_NXTHDR(&message, field)) {
    if (field->cmsg_level == SOL_UDP && field->cmsg_type == UDP_GRO)
      arrived.segment = static_cast<std::size_t>(std::max(value_of<int>(*field), 0));
    if (field->cmsg_level == IPPROTO_IPV6 && field->cmsg_type == IPV6_PKTINFO)
      arrived.local = value_of<in6_pktinfo>(*field).ipi6_addr;
    if (field->cmsg_level == IPPROTO_IP && field->cmsg_type == IP_PKTINFO)
      arrived.local = mapped(value_of<in_pktinfo>(*field).ipi_spec_dst);
  }
  return arrived;
}

// Writes the fields of one message to send, one behind the other.
class ControlWriter {
 public:
  ControlWriter(msghdr& message, Control& control) : message_(message), control_(control) {
    message_.msg_control = nullptr;
    message_.msg_controllen = 0;
  }

  template <class T>
  void add(int level, int type, const T& value) {
    auto* field = reinterpret_cast<cmsghdr*>(control_.bytes.data() + message_.msg_controllen);
    std::memset(field, 0, CMSG_SPACE(sizeof(T)));
    field->cmsg_level = level;
    field->cmsg_type = type;
    field->cmsg_len = CMSG_LEN(sizeof(T));
    std::memcpy(CMSG_DATA(field), &value, sizeof(T));
    message_.msg_control = control_.bytes.data();
    message_.msg_controllen += CMSG_SPACE(sizeof(T));
  }

  void add_local(const in6_addr& local, bool v6) {
    if (is_any(local)) return;
    if (v6) {
      add(IPPROTO_IPV6, IPV6_PKTINFO, in6_pktinfo{.ipi6_addr = local, .ipi6_ifindex = 0});
    } else {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, local.s6_addr + 12, sizeof(info.ipi_spec_dst));
      add(IPPROTO_IP, IP_PKTINFO, info);
    }
  }

 private:
  msghdr& message_;
  Control& control_;
};

inline void address_message(msghdr& message, const UdpPeer& to) {
  message = {};
  if (to.address.port() == 0) return;  // connected
  message.msg_name = const_cast<sockaddr*>(to.address.raw());
  message.msg_namelen = to.address.length();
}

}  // namespace weir::udp
