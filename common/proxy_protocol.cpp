#include "common/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace weir::proxy_protocol {

namespace {

constexpr std::array<std::uint8_t, 12> kSignature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                  0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::size_t kFixed = 16;  // of version 2
constexpr std::string_view kWord = "PROXY ";
constexpr std::uint8_t kLocal = 0x20;
constexpr std::uint8_t kProxy = 0x21;
constexpr std::uint8_t kTcp4 = 0x11;
constexpr std::uint8_t kTcp6 = 0x21;

using Ip6 = std::array<std::uint8_t, 16>;

bool begins(ByteView bytes, ByteView with) {
  const std::size_t common = std::min(bytes.size(), with.size());
  return std::equal(with.begin(), with.begin() + static_cast<std::ptrdiff_t>(common),
                    bytes.begin());
}

std::string text_of(int family, const std::uint8_t* address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address, text, sizeof(text));
  return text;
}

// Up to the next space.
std::string_view next_word(std::string_view& line) {
  const auto end = line.find(' ');
  const auto word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_host(int family, std::string_view text) {
  Ip6 ignored;
  return inet_pton(family, std::string(text).c_str(), ignored.data()) == 1;
}

Result<std::optional<Header>> parse_line(ByteView bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kMaxLine));
  const auto end = text.find("\r\n");
  if (end == std::string_view::npos) {
    if (text.size() == kMaxLine) return fail(Errc::Limit, "PROXY line without an end");
    return std::nullopt;
  }
  Header header{.size = end + 2, .client = {}};
  auto rest = text.substr(kWord.size(), end - kWord.size());
  const auto protocol = next_word(rest);
  if (protocol == "UNKNOWN") return header;
  if (protocol != "TCP4" && protocol != "TCP6")
    return fail(Errc::Protocol, "PROXY line of neither TCP4, TCP6 nor UNKNOWN");
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  const auto client = next_word(rest);
  const auto server = next_word(rest);
  const auto client_port = port_of(next_word(rest));
  const auto server_port = port_of(rest);
  if (!is_host(family, client) || !is_host(family, server) || !client_port || !server_port)
    return fail(Errc::Protocol, "PROXY line without two addresses and two ports");
  header.client = {.host = std::string(client), .port = *client_port};
  return header;
}

Result<std::optional<Header>> parse_binary(ByteView bytes) {
  if (bytes.size() < kFixed) return std::nullopt;
  const std::uint8_t command = bytes[12];
  if (command != kLocal && command != kProxy)
    return fail(Errc::Protocol, "PROXY header of an unknown version or command");
  const std::size_t length = load_be16(bytes.data() + 14);
  if (kFixed + length > kMaxHeader) return fail(Errc::Limit, "PROXY header too long");
  const std::uint8_t kind = bytes[13];
  const std::size_t host = kind == kTcp4 ? 4 : 16;
  const bool known = command == kProxy && (kind == kTcp4 || kind == kTcp6);
  if (known && length < 2 * host + 4) return fail(Errc::Protocol, "PROXY header without addresses");
  if (bytes.size() < kFixed + length) return std::nullopt;
  Header header{.size = kFixed + length, .client = {}};
  if (known)
    header.client = {
        .host = text_of(kind == kTcp4 ? AF_INET : AF_INET6, bytes.data() + kFixed),
        .port = static_cast<std::uint16_t>(load_be16(bytes.data() + kFixed + 2 * host))};
  return header;
}

std::optional<Ip6> ip6_of(const std::string& host) {
  Ip6 address{};
  if (inet_pton(AF_INET6, host.c_str(), address.data()) == 1) return address;
  address[10] = address[11] = 0xff;
  if (inet_pton(AF_INET, host.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

void append_port(ByteBuffer& to, std::uint16_t port) {
  to.push_back(static_cast<std::uint8_t>(port >> 8));
  to.push_back(static_cast<std::uint8_t>(port));
}

}  // namespace

Result<std::optional<Header>> parse(ByteView bytes) {
  const ByteView word(reinterpret_cast<const std::uint8_t*>(kWord.data()), kWord.size());
  if (begins(bytes, kSignature))
    return bytes.size() < kSignature.size() ? std::nullopt : parse_binary(bytes);
  if (begins(bytes, word)) return bytes.size() < word.size() ? std::nullopt : parse_line(bytes);
  return fail(Errc::Protocol, "no PROXY header");
}

ByteBuffer encode(const End& client, const End& server) {
  ByteBuffer out(kSignature.begin(), kSignature.end());
  const auto from = ip6_of(client.host);
  const auto to = ip6_of(server.host);
  if (!from || !to) {
    out.insert(out.end(), {kLocal, 0, 0, 0});
    return out;
  }
  const bool short_form = is_host(AF_INET, client.host) && is_host(AF_INET, server.host);
  const std::ptrdiff_t skipped = short_form ? 12 : 0;
  const auto length = static_cast<std::uint8_t>(2 * (16 - skipped) + 4);
  out.insert(out.end(), {kProxy, short_form ? kTcp4 : kTcp6, 0, length});
  out.insert(out.end(), from->begin() + skipped, from->end());
  out.insert(out.end(), to->begin() + skipped, to->end());
  append_port(out, client.port);
  append_port(out, server.port);
  return out;
}

}  // namespace weir::proxy_protocol
