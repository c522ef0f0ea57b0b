#include "common/wire/stun.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

namespace weir::stun {

namespace {

constexpr std::size_t kAttributeHeader = 4;
constexpr std::size_t kIntegritySize = 20;
constexpr std::size_t kFingerprintSize = 4;
constexpr std::uint32_t kFingerprintXor = 0x5354554e;  // RFC 8489 14.7

constexpr std::uint32_t kUsername = 0x0006;
constexpr std::uint32_t kMessageIntegrity = 0x0008;
constexpr std::uint32_t kPriority = 0x0024;
constexpr std::uint32_t kUseCandidate = 0x0025;
constexpr std::uint32_t kFingerprint = 0x8028;
constexpr std::uint32_t kControlled = 0x8029;
constexpr std::uint32_t kControlling = 0x802a;

// Of a peer-reflexive candidate, component 1, RFC 8445 5.1.2.1.
constexpr std::uint32_t kReflexivePriority = 110U << 24 | 65535U << 8 | 255U;

// The CRC-32 of ISO 3309, as in Ethernet and gzip, bits reflected.
constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0);
    table[i] = value;
  }
  return table;
}();

std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ byte) & 0xff];
  return ~crc;
}

struct Attribute {
  std::uint32_t type;
  std::size_t at;  // of its header
  ByteView value;
};

// RFC 8489 14: type, length of the value, the value padded to four bytes.
Result<Attribute> attribute_at(ByteView packet, std::size_t at) {
  if (packet.size() - at < kAttributeHeader) return fail(Errc::Protocol, "half an attribute");
  const std::size_t length = load_be16(packet.data() + at + 2);
  const std::size_t padded = (length + 3) / 4 * 4;
  if (packet.size() - at - kAttributeHeader < padded)
    return fail(Errc::Protocol, "an attribute runs past the end");
  return Attribute{load_be16(packet.data() + at), at,
                   packet.subspan(at + kAttributeHeader, length)};
}

Result<void> take(const Attribute& attribute, ByteView packet, Message& message) {
  const bool last = attribute.at + kAttributeHeader + attribute.value.size() == packet.size();
  switch (attribute.type) {
    case kUsername:
      if (attribute.value.size() > kMaxUsername) return fail(Errc::Limit, "long USERNAME");
      if (message.username.empty()) message.username = as_text(attribute.value);
      return {};
    case kUseCandidate: message.use_candidate = true; return {};
    case kMessageIntegrity:
      if (attribute.value.size() != kIntegritySize)
        return fail(Errc::Protocol, "MESSAGE-INTEGRITY of a wrong size");
      message.integrity_at = attribute.at;
      return {};
    case kFingerprint:
      if (attribute.value.size() != kFingerprintSize || !last)
        return fail(Errc::Protocol, "FINGERPRINT in a wrong place");
      if (load_be32(attribute.value.data()) != fingerprint(packet.first(attribute.at)))
        return fail(Errc::Protocol, "wrong FINGERPRINT");
      return {};
    default: return {};
  }
}

// Adds an attribute and counts it in the header.
void add(ByteBuffer& message, std::uint32_t type, ByteView value) {
  std::uint8_t header[kAttributeHeader];
  store_be16(store_be16(header, type), static_cast<std::uint32_t>(value.size()));
  append(message, header);
  append(message, value);
  while (message.size() % 4 != 0) message.push_back(0);
  store_be16(message.data() + 2, static_cast<std::uint32_t>(message.size() - kHeader));
}

}  // namespace

bool is_stun(ByteView packet) {
  return packet.size() >= kHeader && packet[0] < 4 && load_be32(packet.data() + 4) == kMagic;
}

Result<Message> parse(ByteView packet) {
  if (!is_stun(packet)) return fail(Errc::Protocol, "no STUN header");
  if (packet.size() > kMaxPacket) return fail(Errc::Limit, "long STUN message");
  if (load_be16(packet.data() + 2) != packet.size() - kHeader || packet.size() % 4 != 0)
    return fail(Errc::Protocol, "a length that is not the packet's");
  Message message{.type = static_cast<std::uint16_t>(load_be16(packet.data()))};
  std::size_t count = 0;
  for (std::size_t at = kHeader; at < packet.size();) {
    const auto attribute = attribute_at(packet, at);
    if (!attribute) return std::unexpected(attribute.error());
    if (++count > kMaxAttributes) return fail(Errc::Limit, "many STUN attributes");
    // RFC 8489 14.5: what follows MESSAGE-INTEGRITY is not covered by it and not to be believed.
    if (message.integrity_at != 0 && attribute->type != kFingerprint)
      return fail(Errc::Protocol, "attributes behind MESSAGE-INTEGRITY");
    auto taken = take(*attribute, packet, message);
    if (!taken) return std::unexpected(taken.error());
    at += kAttributeHeader + (attribute->value.size() + 3) / 4 * 4;
  }
  return message;
}

bool verifies(ByteView packet, const Message& message, std::string_view password) {
  if (message.integrity_at == 0) return false;
  const auto wanted = integrity(packet.first(message.integrity_at), password);
  const ByteView found = packet.subspan(message.integrity_at + kAttributeHeader, kIntegritySize);
  return CRYPTO_memcmp(wanted.data(), found.data(), wanted.size()) == 0;
}

Transaction transaction_of(ByteView packet) {
  Transaction transaction{};
  std::ranges::copy(packet.subspan(8, transaction.size()), transaction.begin());
  return transaction;
}

ByteBuffer write(const Check& check) {
  ByteBuffer message(kHeader);
  store_be16(message.data(), kBindingRequest);
  store_be32(message.data() + 4, kMagic);
  std::ranges::copy(check.transaction, message.begin() + 8);
  add(message, kUsername, as_bytes(check.username));
  std::uint8_t word[8];
  store_be32(word, kReflexivePriority);
  add(message, kPriority, ByteView(word, 4));
  store_be32(store_be32(word, static_cast<std::uint32_t>(check.tie_breaker >> 32)),
             static_cast<std::uint32_t>(check.tie_breaker));
  add(message, check.nominates ? kControlling : kControlled, word);
  if (check.nominates) add(message, kUseCandidate, {});
  add(message, kMessageIntegrity, integrity(message, check.password));
  // The length counts the FINGERPRINT, RFC 8489 14.7.
  const std::size_t whole = message.size() - kHeader + kAttributeHeader + kFingerprintSize;
  store_be16(message.data() + 2, static_cast<std::uint32_t>(whole));
  store_be32(word, fingerprint(message));
  add(message, kFingerprint, ByteView(word, 4));
  return message;
}

std::uint32_t fingerprint(ByteView before_it) { return crc32(before_it) ^ kFingerprintXor; }

std::array<std::uint8_t, 20> integrity(ByteView before_it, std::string_view password) {
  // The header's length counts up to the end of MESSAGE-INTEGRITY, whatever follows it.
  std::array<std::uint8_t, kMaxPacket> covered{};
  std::array<std::uint8_t, 20> result{};
  if (before_it.size() < kHeader || before_it.size() > covered.size()) return result;
  std::ranges::copy(before_it, covered.begin());
  const std::size_t length = before_it.size() - kHeader + kAttributeHeader + kIntegritySize;
  store_be16(covered.data() + 2, static_cast<std::uint32_t>(length));
  HMAC(EVP_sha1(), password.data(), static_cast<int>(password.size()), covered.data(),
       before_it.size(), result.data(), nullptr);
  return result;
}

}  // namespace weir::stun
