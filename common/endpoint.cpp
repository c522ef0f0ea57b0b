#include "common/endpoint.h"

#include <arpa/inet.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

namespace weir {
namespace {

constexpr std::size_t kMaxHost = 255;
constexpr std::size_t kMaxLabel = 63;  // RFC 1123 2.1, RFC 1035 2.3.4
constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Underscores are no part of RFC 1123, but container names have them.
constexpr bool is_label_char(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
}

// The next word of a list, which may be empty, off the front of `text`.
std::string_view take_word(std::string_view& text) {
  const auto is_separator = [](char c) { return c == ',' || is_space(c); };
  const auto end = std::ranges::find_if(text, is_separator) - text.begin();
  const std::string_view word = text.substr(0, static_cast<std::size_t>(end));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 80));
  std::ranges::replace_if(result, [](char c) { return c < 0x20 || c == 0x7f; }, '?');
  return result;
}

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(Errc::Protocol, fmt::format("\"{}\": {}", printable(text), why));
}

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v4 = false;
};

std::optional<Address> address_of(ByteView bytes) {
  Address address;
  if (bytes.size() == 4) {
    std::ranges::copy(kMapped, address.bytes.begin());
    std::ranges::copy(bytes, address.bytes.begin() + kMapped.size());
  } else if (bytes.size() == 16) {
    std::ranges::copy(bytes, address.bytes.begin());
  } else {
    return std::nullopt;
  }
  address.is_v4 = std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin());
  return address;
}

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != text.npos) return std::nullopt;
  const std::string terminated(text);
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) {
    return address_of(ByteView(bytes).first(4));
  }
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return address_of(bytes);
  return std::nullopt;
}

std::string_view without_zone(std::string_view address) {
  return address.substr(0, address.find('%'));
}

bool covers(const Cidr& block, const Address& address) {
  if (block.is_v4 != address.is_v4) return false;
  const std::size_t whole = block.bits / 8;
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, block.network.begin())) {
    return false;
  }
  const unsigned rest = block.bits % 8;
  return rest == 0 || (address.bytes[whole] ^ block.network[whole]) >> (8 - rest) == 0;
}

bool is_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string_view label;
  while (true) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    label = text.substr(0, dot);
    if (label.empty() || label.size() > kMaxLabel) return false;
    if (!std::ranges::all_of(label, is_label_char)) return false;
    if (label.starts_with('-') || label.ends_with('-')) return false;
    if (dot == text.size()) break;
    text.remove_prefix(dot + 1);
  }
  // `label` is the last one: a number here is an address in disguise.
  const bool hex = label.size() >= 2 && label[0] == '0' && lower(label[1]) == 'x';
  return !hex && !all_digits(label);
}

std::string normalised(std::string_view host) {
  std::string result(host);
  if (host.find(':') == host.npos) {
    std::ranges::transform(result, result.begin(), lower);
    return result;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto address = parse_address(host);
  if (!address || !inet_ntop(AF_INET6, address->bytes.data(), text.data(), text.size()))
    return result;
  return text.data();
}

bool is_wildcard(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

struct Parts {
  std::string_view host;  // checked
  std::optional<std::uint16_t> port;
};

Result<Parts> split(std::string_view text, std::uint16_t min_port) {
  if (text.empty()) return bad(text, "names no port");
  Parts parts;
  std::string_view port;
  bool has_port = true;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == text.npos) return bad(text, "bracket is not closed");
    parts.host = text.substr(1, close - 1);
    if (parts.host.find(':') == parts.host.npos)
      return bad(text, "brackets are for IPv6 addresses");
    has_port = close + 1 < text.size();
    if (has_port && text[close + 1] != ':') return bad(text, "junk behind the bracket");
    if (has_port) port = text.substr(close + 2);
  } else if (all_digits(text)) {
    port = text;
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != text.npos;
    parts.host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
    if (port.find(':') != port.npos) return bad(text, "IPv6 addresses are written [address]:port");
  }
  if (!parts.host.empty() && !is_host(parts.host))
    return bad(text, "is not a host name or address");
  if (!has_port) return parts;
  if (!all_digits(port)) return bad(text, "port is not a number");
  std::uint32_t number = 0;
  for (const char c : port) {
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
    if (number > 65535) break;
  }
  if (number > 65535 || number < min_port) {
    return bad(text, fmt::format("port is not between {} and 65535", min_port));
  }
  parts.port = static_cast<std::uint16_t>(number);
  return parts;
}

}  // namespace

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > kMaxHost) return false;
  return parse_address(text).has_value() || is_host_name(text);
}

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
            : fmt::format("{}:{}", endpoint.host, endpoint.port);
}

std::string to_url(const Endpoint& endpoint) {
  return (endpoint.tls ? "tls://" : "") + to_string(endpoint);
}

Result<Endpoint> parse_listen(std::string_view text, std::string_view default_host) {
  const Result<Parts> parts = split(text, 0);
  if (!parts) return std::unexpected(parts.error());
  if (!parts->port) return bad(text, "names no port");
  return Endpoint{normalised(parts->host.empty() ? default_host : parts->host), *parts->port};
}

Result<Endpoint> parse_endpoint(std::string_view text, std::string_view default_host,
                                std::uint16_t default_port) {
  struct Scheme {
    std::string_view prefix;
    std::uint16_t port;
    bool tls;
  };
  static constexpr std::array<Scheme, 7> kSchemes = {{{"tcp://", 0, false},
                                                      {"udp://", 0, false},
                                                      {"rtmp://", 1935, false},
                                                      {"http://", 80, false},
                                                      {"tls://", 0, true},
                                                      {"rtmps://", 443, true},
                                                      {"https://", 443, true}}};
  std::string_view rest = text;
  bool tls = false;
  for (const Scheme& scheme : kSchemes) {
    if (!rest.starts_with(scheme.prefix)) continue;
    rest.remove_prefix(scheme.prefix.size());
    tls = scheme.tls;
    if (scheme.port != 0) default_port = scheme.port;
    break;
  }
  const Result<Parts> parts = split(rest, 1);
  if (!parts) return std::unexpected(parts.error());
  Endpoint endpoint{normalised(parts->host), parts->port.value_or(default_port), tls};
  if (is_wildcard(endpoint.host)) {
    if (!is_host(default_host)) return bad(text, "names no host");
    endpoint.host = normalised(default_host);
  }
  return endpoint;
}

bool Cidr::contains(ByteView address) const {
  const auto parsed = address_of(address);
  return parsed && covers(*this, *parsed);
}

bool Cidr::contains(std::string_view address) const {
  const auto parsed = parse_address(without_zone(address));
  return parsed && covers(*this, *parsed);
}

Result<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const auto address = parse_address(name);
  if (!address) return bad(text, "is not an address");
  Cidr block{address->bytes, 128, address->is_v4};
  if (slash == text.npos) return block;

  const bool dotted = name.find(':') == name.npos;
  const std::string_view digits = text.substr(slash + 1);
  const unsigned max = dotted ? 32 : 128;
  unsigned bits = max + 1;
  if (all_digits(digits) && digits.size() <= 3) {
    bits = 0;
    for (const char c : digits) bits = bits * 10 + static_cast<unsigned>(c - '0');
  }
  if (bits > max) return bad(text, fmt::format("prefix is not between 0 and {}", max));
  if (dotted) bits += 96;
  // Part of the mapped addresses together with others is no block of either family.
  if (block.is_v4 && bits < 96) return bad(text, "prefix is too short for a mapped address");
  block.bits = static_cast<std::uint8_t>(bits);
  for (std::size_t bit = bits; bit < 128; ++bit) {
    if (block.network[bit / 8] >> (7 - bit % 8) & 1) return bad(text, "has bits behind its prefix");
  }
  return block;
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  while (!text.empty()) {
    const std::string_view word = take_word(text);
    if (word.empty()) continue;
    const auto endpoint = parse_endpoint(word, "");
    if (!endpoint) return std::unexpected(endpoint.error());
    if (endpoint->port == 0) return fail(Errc::Protocol, "a port is missing");
    if (endpoints.size() == kMaxEndpoints)
      return fail(Errc::Limit, fmt::format("more than {}", kMaxEndpoints));
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

Result<CidrList> CidrList::parse(std::string_view text) {
  static constexpr std::array<std::string_view, 2> kLoopback = {"127.0.0.0/8", "::1/128"};
  static constexpr std::array<std::string_view, 6> kPrivate = {
      "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"};
  CidrList list;
  while (!text.empty()) {
    const std::string_view word = take_word(text);
    if (word.empty()) continue;
    std::vector<std::string_view> blocks = {word};
    if (word == "loopback") blocks.assign(kLoopback.begin(), kLoopback.end());
    if (word == "private") blocks.assign(kPrivate.begin(), kPrivate.end());
    for (const std::string_view name : blocks) {
      const Result<Cidr> block = parse_cidr(name);
      if (!block) return std::unexpected(block.error());
      list.blocks_.push_back(*block);
    }
  }
  return list;
}

bool CidrList::contains(ByteView address) const {
  return std::ranges::any_of(blocks_, [&](const Cidr& block) { return block.contains(address); });
}

bool CidrList::contains(std::string_view address) const {
  return std::ranges::any_of(blocks_, [&](const Cidr& block) { return block.contains(address); });
}

}  // namespace weir
