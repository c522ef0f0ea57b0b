#include "common/wire/srt.h"

#include <algorithm>

namespace weir::srt {

namespace {

constexpr std::size_t kExtensionHeader = 4;
constexpr std::size_t kWord = 4;
constexpr std::size_t kTimestampAt = 8;
constexpr std::size_t kCookieAt = 44;
constexpr std::size_t kPeerAt = 48;
constexpr std::uint32_t kControl = 0x8000'0000;
// Where the two's complement numbers of the other types begin.
constexpr std::uint32_t kNegative = 0x8000'0000;

Result<void> check_extensions(ByteView extensions) {
  while (!extensions.empty()) {
    if (extensions.size() < kExtensionHeader)
      return fail(Errc::Protocol, "handshake extension cut short");
    const std::size_t size = kExtensionHeader + kWord * load_be16(extensions.data() + 2);
    if (size > extensions.size()) return fail(Errc::Protocol, "handshake extension cut short");
    extensions = extensions.subspan(size);
  }
  return {};
}

void reverse_words(std::span<std::uint8_t> words) {
  for (std::size_t at = 0; at + kWord <= words.size(); at += kWord)
    std::ranges::reverse(words.subspan(at, kWord));
}

}  // namespace

std::optional<ControlType> control_type(ByteView packet) {
  if ((packet[0] & 0x80) == 0) return std::nullopt;
  return static_cast<ControlType>(load_be16(packet.data()) & 0x7fff);
}

std::optional<Rejection> Handshake::rejection() const {
  if (type < handshake_type::kRejected || type >= kNegative) return std::nullopt;
  return static_cast<Rejection>(type - handshake_type::kRejected);
}

Result<Handshake> parse_handshake(ByteView packet) {
  if (packet.size() < kHandshakeSize) return fail(Errc::Protocol, "handshake cut short");
  if (control_type(packet) != ControlType::Handshake)
    return fail(Errc::Protocol, "not a handshake");
  const std::uint8_t* p = packet.data() + kHeaderSize;
  Handshake handshake{.destination = destination(packet),
                      .version = load_be32(p),
                      .encryption = static_cast<std::uint16_t>(load_be16(p + 4)),
                      .extension = static_cast<std::uint16_t>(load_be16(p + 6)),
                      .initial_sequence = load_be32(p + 8),
                      .mtu = load_be32(p + 12),
                      .window = load_be32(p + 16),
                      .type = load_be32(p + 20),
                      .socket_id = load_be32(p + 24),
                      .cookie = load_be32(p + 28),
                      .peer = {},
                      .extensions = {}};
  std::copy_n(packet.data() + kPeerAt, handshake.peer.size(), handshake.peer.begin());
  if (handshake.version >= kVersion5 && handshake.type == handshake_type::kConclusion) {
    handshake.extensions = packet.subspan(kHandshakeSize);
    if (auto whole = check_extensions(handshake.extensions); !whole)
      return std::unexpected(std::move(whole.error()));
  }
  return handshake;
}

ByteBuffer write(const Handshake& handshake) {
  ByteBuffer packet(kHandshakeSize);
  std::uint8_t* p = store_be32(packet.data(), kControl);
  p = store_be64(p, 0);
  for (const std::uint32_t field :
       {handshake.destination, handshake.version,
        std::uint32_t{handshake.encryption} << 16 | handshake.extension, handshake.initial_sequence,
        handshake.mtu, handshake.window, handshake.type, handshake.socket_id, handshake.cookie})
    p = store_be32(p, field);
  std::ranges::copy(handshake.peer, p);
  append(packet, handshake.extensions);
  return packet;
}

std::optional<Extension> next_extension(ByteView& extensions) {
  if (extensions.empty()) return std::nullopt;
  const std::size_t size = kWord * load_be16(extensions.data() + 2);
  const Extension next{static_cast<ExtensionType>(load_be16(extensions.data())),
                       extensions.subspan(kExtensionHeader, size)};
  extensions = extensions.subspan(kExtensionHeader + size);
  return next;
}

Result<std::string> stream_id(const Handshake& handshake) {
  ByteView rest = handshake.extensions;
  while (const auto extension = next_extension(rest)) {
    if (extension->type != ExtensionType::StreamId) continue;
    if (extension->content.size() > kMaxStreamId)
      return fail(Errc::Limit, "streamid of more than 512 bytes");
    ByteBuffer words(extension->content.begin(), extension->content.end());
    reverse_words(words);
    std::string text(as_text(words));
    text.erase(text.find_last_not_of('\0') + 1);
    if (text.find('\0') != std::string::npos) return fail(Errc::Protocol, "streamid with a NUL");
    return text;
  }
  return std::string();
}

void append_stream_id(ByteBuffer& extensions, std::string_view text) {
  ByteBuffer words(as_bytes(text).begin(), as_bytes(text).end());
  words.resize((words.size() + kWord - 1) / kWord * kWord);
  reverse_words(words);
  std::array<std::uint8_t, kExtensionHeader> header;
  store_be16(store_be16(header.data(), static_cast<std::uint32_t>(ExtensionType::StreamId)),
             static_cast<std::uint32_t>(words.size() / kWord));
  append(extensions, header);
  append(extensions, words);
}

void set_timestamp(std::span<std::uint8_t> packet, std::uint32_t microseconds) {
  store_be32(packet.data() + kTimestampAt, microseconds);
}

void set_cookie(std::span<std::uint8_t> packet, std::uint32_t cookie) {
  store_be32(packet.data() + kCookieAt, cookie);
}

void set_peer(std::span<std::uint8_t> packet, const std::array<std::uint8_t, 16>& peer) {
  std::ranges::copy(peer, packet.begin() + kPeerAt);
}

std::array<std::uint8_t, 16> peer_field(ByteView address) {
  std::array<std::uint8_t, 16> field{};
  std::copy_n(address.begin(), std::min(address.size(), field.size()), field.begin());
  reverse_words(field);
  return field;
}

std::array<std::uint8_t, kShutdownSize> shutdown_packet(std::uint32_t destination) {
  std::array<std::uint8_t, kShutdownSize> packet{};
  store_be32(packet.data(),
             kControl | std::uint32_t{static_cast<std::uint16_t>(ControlType::Shutdown)} << 16);
  store_be32(packet.data() + 12, destination);
  return packet;
}

}  // namespace weir::srt
