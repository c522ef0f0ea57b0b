#include "proxy/srt_handshakes.h"

#include <spdlog/fmt/fmt.h>

#include <cstring>

namespace weir {

using srt::Handshake;
using srt::Rejection;

std::array<std::uint8_t, 16> srt_peer_field(const Address& address) {
  if (address.family() == AF_INET) {
    std::array<std::uint8_t, 4> bytes;
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.raw());
    std::memcpy(bytes.data(), &v4->sin_addr, bytes.size());
    return srt::peer_field(bytes);
  }
  constexpr std::size_t kMappedPrefix = 12;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address.raw())->sin6_addr;
  const ByteView bytes(v6.s6_addr);
  return srt::peer_field(IN6_IS_ADDR_V4MAPPED(&v6) ? bytes.subspan(kMappedPrefix) : bytes);
}

ByteBuffer srt_greeting(const Handshake& induction, const Address& caller, std::uint32_t cookie) {
  Handshake answer = induction;
  answer.destination = induction.socket_id;
  answer.version = srt::kVersion5;
  answer.encryption = 0;  // the caller's own choice of key length stands
  answer.extension = srt::kMagic;
  answer.cookie = cookie;
  answer.peer = srt_peer_field(caller);
  return srt::write(answer);
}

ByteBuffer srt_induction(const Handshake& conclusion, const Address& origin) {
  Handshake induction = conclusion;
  induction.version = srt::kVersion4;
  induction.encryption = 0;
  induction.extension = srt::kDatagram;
  induction.type = srt::handshake_type::kInduction;
  induction.cookie = 0;
  induction.peer = srt_peer_field(origin);
  induction.extensions = {};
  return srt::write(induction);
}

ByteBuffer srt_rejection(const Handshake& of, Rejection why) {
  Handshake answer = of;
  answer.destination = of.socket_id;
  answer.extension = 0;
  answer.type = srt::handshake_type::kRejected + static_cast<std::uint32_t>(why);
  answer.extensions = {};
  return srt::write(answer);
}

Rejection srt_rejection_of(Errc code) {
  switch (code) {
    case Errc::NotFound: return Rejection::NotFound;
    case Errc::Protocol:
    case Errc::Limit: return Rejection::BadRequest;
    case Errc::Cancelled: return Rejection::Close;
    default: return Rejection::Resource;
  }
}

Error srt_error_of(Rejection reason) {
  constexpr std::uint32_t kConflict = 1409;
  const auto code = static_cast<std::uint32_t>(reason);
  const Errc errc = reason == Rejection::NotFound ? Errc::NotFound
                    : code == kConflict           ? Errc::Busy
                                                  : Errc::Denied;
  return {errc, fmt::format("origin rejects with {}", code)};
}

}  // namespace weir
