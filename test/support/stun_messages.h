// test/support/stun_messages.h
// STUN messages as ICE agents write them.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/stun.h"

namespace weir::test {

struct StunOptions {
  std::uint16_t type = stun::kBindingRequest;
  std::string username = "remote:local";
  std::string password = "a password of 22 bytes";
  bool use_candidate = false;
  bool integrity = true;
  bool fingerprint = true;
};

inline void add_attribute(ByteBuffer& message, std::uint16_t type, ByteView value) {
  std::uint8_t header[4];
  store_be16(store_be16(header, type), static_cast<std::uint32_t>(value.size()));
  append(message, header);
  append(message, value);
  while (message.size() % 4 != 0) message.push_back(0);
  store_be16(message.data() + 2, static_cast<std::uint32_t>(message.size() - stun::kHeader));
}

inline ByteBuffer stun_message(const StunOptions& options = {}) {
  ByteBuffer message(stun::kHeader);
  store_be16(message.data(), options.type);
  store_be32(message.data() + 4, stun::kMagic);
  for (std::size_t i = 8; i < stun::kHeader; ++i) message[i] = static_cast<std::uint8_t>(i);
  if (!options.username.empty()) add_attribute(message, 0x0006, as_bytes(options.username));
  if (options.use_candidate) add_attribute(message, 0x0025, {});
  if (options.integrity) add_attribute(message, 0x0008, stun::integrity(message, options.password));
  if (options.fingerprint) {
    // The length counts the FINGERPRINT, RFC 8489 14.7.
    store_be16(message.data() + 2, static_cast<std::uint32_t>(message.size() - 20 + 8));
    std::uint8_t value[4];
    store_be32(value, stun::fingerprint(message));
    add_attribute(message, 0x8028, value);
  }
  return message;
}

}  // namespace weir::test
