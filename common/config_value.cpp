#include "common/config_value.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/check.h"
#include "common/endpoint.h"
#include "common/wire/http1_headers.h"

namespace weir {
namespace {

constexpr std::size_t kMaxValue = 4096;
constexpr std::size_t kMaxQuoted = 80;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<std::string> bad(std::string_view value, std::string_view why) {
  return std::unexpected(fmt::format("{} {}", in_quotes(value), why));
}

template <class T>
bool take_number(std::string_view& text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// The longest unit that `text` begins with is removed from it; 0 when there is none.
template <class Units>
auto take_unit(std::string_view& text, const Units& units) {
  for (const auto& [unit, factor] : units) {
    if (!text.starts_with(unit)) continue;
    text.remove_prefix(unit.size());
    return factor;
  }
  return decltype(units.begin()->second){};
}

std::vector<std::string_view> alternatives(std::string_view allowed) {
  std::vector<std::string_view> found;
  while (!allowed.empty()) {
    const auto bar = std::min(allowed.find('|'), allowed.size());
    found.push_back(allowed.substr(0, bar));
    allowed.remove_prefix(std::min(bar + 1, allowed.size()));
  }
  return found;
}

template <class Parse>
Parsed<void> check_range(std::string_view allowed, std::string_view value, Parse parse) {
  if (is_word_of(allowed, value)) return {};
  const auto parsed = parse(value);
  if (!parsed) return std::unexpected(parsed.error());
  for (const auto alternative : alternatives(allowed)) {
    const auto dots = alternative.find("..");
    if (dots == std::string_view::npos) continue;
    const auto low = parse(alternative.substr(0, dots));
    const auto high = parse(alternative.substr(dots + 2));
    INVARIANT(low && high, allowed);  // the table's own
    if (*parsed < *low || *parsed > *high)
      return bad(value, fmt::format("is out of range ({})", alternative));
  }
  return {};
}

Parsed<void> check_text(std::string_view value) {
  if (value.size() > kMaxValue) return std::unexpected(fmt::format("longer than {}", kMaxValue));
  for (const char c : value)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return std::unexpected("contains a control character");
  return {};
}

template <class Parser>
Parsed<void> check_endpoint(std::string_view value, Parser parser) {
  if (value.empty()) return {};
  const auto parsed = parser(value);
  if (!parsed) return bad(value, fmt::format("is no address: {}", parsed.error().text));
  return {};
}

}  // namespace

Parsed<bool> parse_boolean(std::string_view text) {
  for (const auto yes : {"on", "true", "yes", "1"})
    if (text == yes) return true;
  for (const auto no : {"off", "false", "no", "0"})
    if (text == no) return false;
  return bad(text, "is neither on nor off");
}

Parsed<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  auto rest = text;
  if (!take_number(rest, number) || !rest.empty()) return bad(text, "is not a whole number");
  return number;
}

Parsed<double> parse_number(std::string_view text) {
  double number = 0;
  auto rest = text;
  const bool begins_well = !text.empty() && (is_digit(text[0]) || text[0] == '-');
  if (!begins_well || !take_number(rest, number) || !rest.empty() || !std::isfinite(number))
    return bad(text, "is not a number");
  return number;
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits{
      {{"KiB", 1u << 10},
       {"MiB", 1u << 20},
       {"GiB", 1u << 30},
       {"TiB", std::uint64_t{1} << 40},
       {"B", 1}}};
  std::uint64_t number = 0;
  auto rest = text;
  if (!take_number(rest, number)) return bad(text, "is not a size such as 65536, 64KiB or 4MiB");
  const std::uint64_t factor = rest.empty() ? 1 : take_unit(rest, kUnits);
  if (factor == 0 || !rest.empty())
    return bad(text, "has a unit other than B, KiB, MiB, GiB or TiB");
  if (number > (std::uint64_t{1} << 60) / factor) return bad(text, "is too large");
  return number * factor;
}

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 5> kUnits{
      {{"ms", 1.0}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};
  if (text == "0") return std::chrono::milliseconds{0};
  double total_ms = 0;
  auto rest = text;
  if (rest.empty()) return bad(text, "is not a duration such as 350ms, 10s or 5m");
  while (!rest.empty()) {
    double number = 0;
    if (!is_digit(rest[0]) || !take_number(rest, number))
      return bad(text, "is not a duration such as 350ms, 10s or 5m");
    const double factor = take_unit(rest, kUnits);
    if (factor == 0) return bad(text, "needs a unit: ms, s, m, h or d");
    total_ms += number * factor;
    if (!(total_ms <= 1e13)) return bad(text, "is too long");
  }
  if (total_ms > 0 && total_ms < 1) return bad(text, "is shorter than a millisecond");
  return std::chrono::milliseconds{std::llround(total_ms)};
}

Parsed<std::vector<Endpoint>> parse_hosts(std::string_view text) {
  std::vector<Endpoint> hosts;
  for (const auto word : http::split_list(text)) {
    auto host = parse_endpoint(word, "");
    if (!host) return bad(word, "is no address or name");
    if (hosts.size() == kMaxHosts)
      return std::unexpected(fmt::format("names more than {} addresses", kMaxHosts));
    hosts.push_back(std::move(*host));
  }
  return hosts;
}

Parsed<void> check_value(Kind kind, std::string_view allowed, std::string_view value) {
  if (auto text = check_text(value); !text) return text;
  switch (kind) {
    case Kind::Text:
    case Kind::Secret: return {};
    case Kind::Boolean: {
      if (const auto parsed = parse_boolean(value); !parsed) return std::unexpected(parsed.error());
      return {};
    }
    case Kind::Integer: return check_range(allowed, value, parse_integer);
    case Kind::Number: return check_range(allowed, value, parse_number);
    case Kind::Size: return check_range(allowed, value, parse_size);
    case Kind::Duration: return check_range(allowed, value, parse_duration);
    case Kind::Choice:
      if (is_word_of(allowed, value)) return {};
      return bad(value, fmt::format("is none of {}", allowed));
    case Kind::Listen: return check_endpoint(value, [](auto text) { return parse_listen(text); });
    case Kind::Remote:
      return check_endpoint(value, [](auto text) { return parse_endpoint(text, "host"); });
    case Kind::Remotes: {
      if (const auto parsed = parse_endpoints(value); !parsed)
        return bad(value, fmt::format("is no list of host:port: {}", parsed.error().text));
      return {};
    }
    case Kind::Hosts: {
      if (const auto parsed = parse_hosts(value); !parsed) return std::unexpected(parsed.error());
      return {};
    }
    case Kind::CidrList: {
      if (const auto parsed = CidrList::parse(value); !parsed)
        return bad(value, fmt::format("is no list of networks: {}", parsed.error().text));
      return {};
    }
  }
  return {};
}

bool is_word_of(std::string_view allowed, std::string_view value) {
  const auto words = alternatives(allowed);
  return value.find("..") == std::string_view::npos &&
         std::ranges::find(words, value) != words.end();
}

std::string describe(Kind kind, std::string_view allowed) {
  switch (kind) {
    case Kind::Text: return "text";
    case Kind::Secret: return "text, never shown";
    case Kind::Boolean: return "on or off";
    case Kind::Integer: return fmt::format("whole number, {}", allowed);
    case Kind::Number: return fmt::format("number, {}", allowed);
    case Kind::Size: return fmt::format("size, {}", allowed);
    case Kind::Duration: return fmt::format("duration, {}", allowed);
    case Kind::Choice: return std::string(allowed);
    case Kind::Listen: return "port, host:port, [v6]:port, or empty for off";
    case Kind::Remote:
      return "port or host:port, also behind rtmps:// or https://, or empty for none";
    case Kind::Remotes: return "host:port, comma separated, or empty for none";
    case Kind::Hosts:
      return "addresses or names, comma separated, each with :port or without; or empty";
    case Kind::CidrList: return "networks, comma separated; also loopback, private";
  }
  return {};
}

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, kMaxQuoted)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out + (text.size() > kMaxQuoted ? "...'" : "'");
}

}  // namespace weir
