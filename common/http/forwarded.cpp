#include "common/http/forwarded.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ranges>

namespace weir::http {
namespace {

using Kind = ForwardedNode::Kind;

constexpr std::string_view kForwarded = "Forwarded";
constexpr std::string_view kForwardedFor = "X-Forwarded-For";
constexpr std::string_view kPrefix = "X-Forwarded-";
constexpr std::string_view kRealIp = "X-Real-IP";
constexpr std::string_view kDigits = "0123456789";
constexpr ForwardedNode kHidden{};
constexpr std::size_t kMaxHost = 45;  // INET6_ADDRSTRLEN - 1
constexpr std::size_t kMaxPort = 5;

ForwardedNode malformed() { return {.kind = Kind::Malformed}; }

// RFC 7239 6.3; what stands for a port may be such a name, too.
bool is_obfuscated(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return text.size() > 1 && text.front() == '_' && std::ranges::all_of(text, plain);
}

// Nothing when it is no port; 0 when it does not tell which.
std::optional<std::uint16_t> port_of(std::string_view text) {
  if (is_obfuscated(text)) return 0;
  const bool number = !text.empty() && text.size() <= kMaxPort &&
                      text.find_first_not_of(kDigits) == std::string_view::npos;
  if (!number) return std::nullopt;
  unsigned value = 0;
  for (const char digit : text) value = value * 10 + static_cast<unsigned>(digit - '0');
  return value > 65535 ? 0 : static_cast<std::uint16_t>(value);
}

ForwardedNode address_node(std::string_view host, std::optional<std::uint16_t> port) {
  if (host.empty() || host.size() > kMaxHost || !port) return malformed();
  auto address = Address::parse(std::string(host), *port);
  if (!address) return malformed();
  return {.kind = Kind::Address, .address = *address};
}

// RFC 7239 6: nodename [ ":" node-port ], IPv6 in brackets.
ForwardedNode node_of(std::string_view text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return malformed();
    const auto host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) return malformed();
    if (rest.empty()) return address_node(host, 0);
    return rest.front() == ':' ? address_node(host, port_of(rest.substr(1))) : malformed();
  }
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  std::optional<std::uint16_t> port = 0;
  if (colon != std::string_view::npos) port = port_of(text.substr(colon + 1));
  if (same_ignoring_case(name, "unknown") || is_obfuscated(name))
    return port ? kHidden : malformed();
  return address_node(name, port);
}

// Takes pairs off the front of a value.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }
  bool sees(char c) {
    skip_blanks();
    return rest_.starts_with(c);
  }
  bool take(char c) {
    if (!sees(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // token "=" ( token / quoted-string ), RFC 7239 4.
  bool take_pair(std::string& name, std::string& value) {
    skip_blanks();
    name = rest_.substr(0, rest_.find_first_of("=;, \t\""));
    if (!is_token(name) || name.size() == rest_.size() || rest_[name.size()] != '=') return false;
    rest_.remove_prefix(name.size() + 1);
    if (rest_.starts_with('"')) return take_quoted(value);
    value = rest_.substr(0, rest_.find_first_of(";, \t"));
    rest_.remove_prefix(value.size());
    return is_token(value);
  }

 private:
  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
  }
  bool take_quoted(std::string& value) {
    value.clear();
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) return false;
      value += rest_[i];
    }
    return false;
  }

  std::string_view rest_;
};

// One element, RFC 7239 4: each parameter once at most. Nothing when it is malformed.
std::optional<ForwardedNode> take_element(Reader& reader) {
  ForwardedNode node = kHidden;
  std::vector<std::string> seen;
  std::string name;
  std::string value;
  bool next = true;
  while (!reader.at_end() && !reader.sees(',')) {
    if (reader.take(';')) {
      next = true;
      continue;
    }
    if (!next || !reader.take_pair(name, value)) return std::nullopt;
    next = false;
    const auto again = [&](const std::string& other) { return same_ignoring_case(other, name); };
    if (std::ranges::any_of(seen, again)) return std::nullopt;
    if (same_ignoring_case(name, "for")) node = node_of(value);
    seen.push_back(name);
  }
  if (node.kind == Kind::Malformed) return std::nullopt;
  return node;
}

using Read = std::vector<ForwardedNode> (*)(std::string_view);

// Over all fields of that name. Nothing when there is none.
Result<std::optional<std::vector<ForwardedNode>>> row_of(const Headers& headers,
                                                         std::string_view name, Read read) {
  const auto fields = headers.find_all(name);
  if (fields.empty()) return std::nullopt;
  std::size_t size = 0;
  std::vector<ForwardedNode> row;
  for (const auto field : fields) {
    size += field.size();
    if (size > kMaxForwarded) return fail(Errc::Limit, fmt::format("{}: too long", name));
    const auto nodes = read(field);
    row.insert(row.end(), nodes.begin(), nodes.end());
  }
  if (row.size() > kMaxForwardedNodes) return fail(Errc::Limit, fmt::format("{}: too long", name));
  return row;
}

Result<std::optional<Address>> client_in(const std::vector<ForwardedNode>& row,
                                         const Address& sender, const CidrList& trusted) {
  Address nearest = sender;
  for (const ForwardedNode& node : row | std::views::reverse) {
    if (node.kind == Kind::Malformed) return fail(Errc::Protocol, "it is not told whose this is");
    if (node.kind == Kind::Hidden) return std::nullopt;
    nearest = node.address;
    if (!trusted.contains(nearest.host())) break;
  }
  return nearest;
}

bool tells_of_hops(std::string_view name) {
  return (name.size() > kPrefix.size() &&
          same_ignoring_case(name.substr(0, kPrefix.size()), kPrefix)) ||
         same_ignoring_case(name, kForwarded) || same_ignoring_case(name, kRealIp);
}

}  // namespace

std::vector<ForwardedNode> read_forwarded(std::string_view value) {
  std::vector<ForwardedNode> nodes;
  Reader reader(value);
  while (!reader.at_end()) {
    if (reader.take(',')) continue;
    auto node = take_element(reader);
    if (!node || (!reader.at_end() && !reader.take(','))) return {malformed()};
    nodes.push_back(*node);
  }
  return nodes;
}

std::vector<ForwardedNode> read_x_forwarded_for(std::string_view value) {
  std::vector<ForwardedNode> nodes;
  for (const std::string_view member : split_list(value)) {
    const bool bare_ip6 = !member.starts_with('[') && std::ranges::count(member, ':') > 1;
    nodes.push_back(bare_ip6 ? address_node(member, 0) : node_of(member));
  }
  return nodes;
}

Result<std::optional<Address>> take_client(Headers& headers, const Address& sender,
                                           const TrustedHops* hops) {
  if (hops == nullptr || !hops->from.contains(sender.host())) {
    remove_hop_fields(headers);
    return sender;
  }
  // A field that hops do not write themselves is their client's invention.
  if (!hops->forwarded) headers.remove(kForwarded);
  if (!hops->x_forwarded_for) headers.remove(kForwardedFor);
  auto row = row_of(headers, kForwarded, read_forwarded);
  if (row && !*row) row = row_of(headers, kForwardedFor, read_x_forwarded_for);
  if (!row) return std::unexpected(row.error());
  if (!*row) return sender;
  return client_in(**row, sender, hops->from);
}

void remove_hop_fields(Headers& headers) {
  std::vector<std::string> names;
  for (const Header& field : headers)
    if (tells_of_hops(field.name)) names.push_back(field.name);
  for (const std::string& name : names) headers.remove(name);
}

std::string forwarded_for(const Address& node) {
  const std::string host = node.host();
  const bool ip6 = host.find(':') != std::string::npos;
  return ip6 ? fmt::format("for=\"[{}]\"", host) : fmt::format("for={}", host);
}

}  // namespace weir::http
