// common/wire/stun.h
// STUN messages as ICE uses them (RFC 8489, RFC 8445): enough to know whose a packet is and to
// believe it.
//
//     auto message = stun::parse(packet);
//     if (message && message->is_request() && stun::verifies(packet, *message, password)) ...
//
// Threading: pure functions. Bounds: kMaxPacket bytes, kMaxAttributes attributes, kMaxUsername bytes
// of a name; what is longer is refused. Nothing is copied.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::stun {

inline constexpr std::size_t kHeader = 20;
inline constexpr std::size_t kMaxPacket = 1280;
inline constexpr std::size_t kMaxAttributes = 32;
inline constexpr std::size_t kMaxUsername = 513;  // RFC 8489 14.3
inline constexpr std::uint32_t kMagic = 0x2112A442;

inline constexpr std::uint16_t kBindingRequest = 0x0001;
inline constexpr std::uint16_t kBindingSuccess = 0x0101;

using Transaction = std::array<std::uint8_t, 12>;

struct Message {
  std::uint16_t type = 0;
  std::string_view username{};   // of the packet; empty: none
  std::size_t integrity_at = 0;  // where MESSAGE-INTEGRITY begins; 0: there is none
  bool use_candidate = false;

  bool is_request() const { return type == kBindingRequest; }
  bool is_success() const { return type == kBindingSuccess; }
};

// Whether a datagram can only be STUN among what shares a port with it (RFC 7983).
bool is_stun(ByteView packet);

// Errors: Protocol, for a length that is not the packet's, attributes that run past its end, a
// FINGERPRINT that is wrong or not last, anything but it behind MESSAGE-INTEGRITY; Limit.
Result<Message> parse(ByteView packet);

// Whether MESSAGE-INTEGRITY (HMAC-SHA1) is there and made with `password`. REQUIRES: `message` is
// what parse() made of `packet`.
bool verifies(ByteView packet, const Message& message, std::string_view password);

// REQUIRES: is_stun().
Transaction transaction_of(ByteView packet);

// A connectivity check (RFC 8445 7.2.2), signed and with a FINGERPRINT.
struct Check {
  std::string username;  // the receiver's ufrag, a colon, the sender's
  std::string password;  // the receiver's
  Transaction transaction;
  std::uint64_t tie_breaker = 0;
  bool nominates = false;  // the sender is controlling, and wants this pair; else it is controlled
};
ByteBuffer write(const Check& check);

// For those who write messages.
std::uint32_t fingerprint(ByteView before_it);
std::array<std::uint8_t, 20> integrity(ByteView before_it, std::string_view password);

}  // namespace weir::stun
