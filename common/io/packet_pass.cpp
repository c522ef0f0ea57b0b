#include "common/io/packet_pass.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir {

namespace {

constexpr int kBuffer = 4 * 1024 * 1024;
constexpr int kPacketsPerTurn = 128;

// Of one version of the program to another: all of it is fixed.
struct Header {
  std::uint8_t port = 0;
  std::uint8_t family = 0;  // 4 or 6
  std::uint8_t zero[2] = {};
  std::uint32_t scope = 0;
  std::uint16_t peer_port = 0;
  std::uint8_t zero_too[6] = {};
  std::uint8_t address[16] = {};
  std::uint8_t local[16] = {};
};
static_assert(sizeof(Header) == 48);

Header header_of(PacketPass::Port port, const UdpPeer& from) {
  Header header;
  header.port = static_cast<std::uint8_t>(port);
  header.peer_port = from.address.port();
  if (from.address.family() == AF_INET6) {
    sockaddr_in6 name{};
    std::memcpy(&name, from.address.raw(), sizeof name);
    header.family = 6;
    header.scope = name.sin6_scope_id;
    std::memcpy(header.address, &name.sin6_addr, sizeof name.sin6_addr);
  } else {
    sockaddr_in name{};
    std::memcpy(&name, from.address.raw(), sizeof name);
    header.family = 4;
    std::memcpy(header.address, &name.sin_addr, sizeof name.sin_addr);
  }
  std::memcpy(header.local, &from.local, sizeof from.local);
  return header;
}

UdpPeer peer_of(const Header& header) {
  UdpPeer peer;
  if (header.family == 6) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(header.peer_port);
    name.sin6_scope_id = header.scope;
    std::memcpy(&name.sin6_addr, header.address, sizeof name.sin6_addr);
    peer.address = Address::of(reinterpret_cast<const sockaddr*>(&name), sizeof name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(header.peer_port);
    std::memcpy(&name.sin_addr, header.address, sizeof name.sin_addr);
    peer.address = Address::of(reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  std::memcpy(&peer.local, header.local, sizeof peer.local);
  return peer;
}

}  // namespace

Result<std::pair<int, int>> PacketPass::open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(Errc::System, std::string("socketpair: ") + std::strerror(errno));
  for (const int fd : ends) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
  return std::pair{ends[0], ends[1]};
}

PacketPass::PacketPass(Loop& loop, int fd, Received received)
    : loop_(loop), fd_(fd), received_(std::move(received)) {
  loop_.add(fd_, EPOLLIN, *this);
}

PacketPass::~PacketPass() {
  if (open_) loop_.remove(fd_, *this);
  ::close(fd_);
}

bool PacketPass::pass(Port port, const UdpPeer& from, ByteView packet) {
  if (!open_) return false;
  Header header = header_of(port, from);
  iovec pieces[] = {{&header, sizeof header},
                    {const_cast<std::uint8_t*>(packet.data()), packet.size()}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  return ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

void PacketPass::on_ready(std::uint32_t) {
  const auto memory = loop_.scratch();
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto got = ::recv(fd_, memory.data(), memory.size(), MSG_DONTWAIT);
    if (got < 0) return;
    if (got == 0) {
      open_ = false;
      loop_.remove(fd_, *this);
      return;
    }
    const auto size = static_cast<std::size_t>(got);
    if (size <= sizeof(Header) || !received_) continue;
    Header header;
    std::memcpy(&header, memory.data(), sizeof header);
    received_(static_cast<Port>(header.port), peer_of(header),
              memory.subspan(sizeof header, size - sizeof header));
  }
}

}  // namespace weir
