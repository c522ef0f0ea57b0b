#include "common/wire/http1_headers.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace weir::http {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

constexpr bool is_token_char(char c) {
  return is_digit(c) || is_letter(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string clean(std::string_view value) {
  std::string result(value);
  for (char& c : result) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = ' ';
  }
  return result;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> members;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view member = trim(text.substr(0, comma));
    if (!member.empty()) members.push_back(member);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return members;
}

std::optional<std::uint64_t> parse_content_length(std::string_view text) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

Result<Header> parse_field_line(std::string_view line, SpaceBeforeColon space) {
  // RFC 9112 5.2: obs-fold.
  if (!line.empty() && is_blank(line.front())) {
    return fail(Errc::Protocol, "header line starts with white space");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail(Errc::Protocol, "header line without colon");
  std::string_view name = line.substr(0, colon);
  if (space == SpaceBeforeColon::Drop) name = trim(name);
  if (!name.empty() && is_blank(name.back())) {
    return fail(Errc::Protocol, "white space between header name and colon");
  }
  if (!is_token(name)) return fail(Errc::Protocol, "header name is empty or has a bad character");
  return Header{std::string(name), std::string(trim(line.substr(colon + 1)))};
}

Headers::Headers(std::initializer_list<Header> fields) {
  fields_.reserve(fields.size());
  for (const Header& field : fields) add(field.name, field.value);
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Header& field : fields_) {
    if (same_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::find_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Header& field : fields_) {
    if (same_ignoring_case(field.name, name)) values.push_back(field.value);
  }
  return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  for (const Header& field : fields_) {
    if (!same_ignoring_case(field.name, name)) continue;
    for (const std::string_view member : split_list(field.value)) {
      if (same_ignoring_case(member, token)) return true;
    }
  }
  return false;
}

void Headers::add(std::string_view name, std::string_view value) {
  INVARIANT(is_token(name), name);
  fields_.push_back({std::string(name), clean(value)});
}

void Headers::set(std::string_view name, std::string_view value) {
  const auto is_same = [name](const Header& field) { return same_ignoring_case(field.name, name); };
  const auto first = std::ranges::find_if(fields_, is_same);
  if (first == fields_.end()) return add(name, value);
  // `value` may be a view of the very field that is replaced.
  std::string cleaned = clean(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), is_same), fields_.end());
  first->value = std::move(cleaned);
}

std::size_t Headers::remove(std::string_view name) {
  // `name` may be a view of a field that moves.
  const std::string wanted(name);
  return std::erase_if(fields_,
                       [&](const Header& field) { return same_ignoring_case(field.name, wanted); });
}

}  // namespace weir::http
