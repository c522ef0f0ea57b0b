#include "common/wire/http1_via.h"

#include <algorithm>

#include "common/check.h"
#include "common/wire/http1.h"

namespace weir::http {
namespace {

constexpr std::size_t kUnfinished = std::string_view::npos;

bool is_id(std::string_view text) { return is_token(text) || is_authority(text); }

// Where the first `separator` outside quoted strings stands, text.size() without one, kUnfinished
// when a quoted string does not end.
std::size_t find_unquoted(std::string_view text, char separator) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == separator) {
      return i;
    }
  }
  return quoted ? kUnfinished : text.size();
}

// parameter = token "=" ( token / quoted-string ), RFC 9110 5.6.6. Empty ones are allowed there
// too.
bool is_parameter(std::string_view text) {
  if (text.empty()) return true;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || !is_token(text.substr(0, equals))) return false;
  const std::string_view value = text.substr(equals + 1);
  if (!value.starts_with('"')) return is_token(value);
  for (std::size_t i = 1; i < value.size(); ++i) {
    if (value[i] == '"') return i + 1 == value.size();
    if (value[i] == '\\') ++i;
  }
  return false;
}

std::string_view id_of(std::string_view member) { return trim(member.substr(0, member.find(';'))); }

}  // namespace

Result<std::vector<std::string_view>> parse_cdn_loop(std::string_view value) {
  std::vector<std::string_view> ids;
  while (!value.empty()) {
    const std::size_t end = find_unquoted(value, ',');
    if (end == kUnfinished) return fail(Errc::Protocol, "CDN-Loop: quoted string does not end");
    std::string_view member = trim(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
    if (member.empty()) continue;
    const std::string_view id = id_of(member);
    if (!is_id(id)) return fail(Errc::Protocol, "CDN-Loop: malformed cdn-id");
    while (true) {
      member.remove_prefix(std::min(find_unquoted(member, ';'), member.size()));
      if (member.empty()) break;
      member.remove_prefix(1);
      const std::size_t length = std::min(find_unquoted(member, ';'), member.size());
      if (!is_parameter(trim(member.substr(0, length)))) {
        return fail(Errc::Protocol, "CDN-Loop: malformed parameter");
      }
    }
    ids.push_back(id);
  }
  return ids;
}

std::vector<std::string_view> cdn_loop_of(const Headers& headers) {
  std::vector<std::string_view> all;
  for (const std::string_view value : headers.find_all("CDN-Loop")) {
    auto ids = parse_cdn_loop(value);
    if (!ids) {
      ids = split_list(value);
      std::ranges::transform(*ids, ids->begin(), id_of);
    }
    all.insert(all.end(), ids->begin(), ids->end());
  }
  return all;
}

bool cdn_loop_contains(const Headers& headers, std::string_view id) {
  return std::ranges::any_of(
      cdn_loop_of(headers), [id](std::string_view other) { return same_ignoring_case(other, id); });
}

void add_cdn_loop(Headers& headers, std::string_view id) {
  INVARIANT(is_id(id), id);
  headers.add("CDN-Loop", id);
}

void add_via(Headers& headers, int minor_version, std::string_view name) {
  INVARIANT(is_id(name), name);
  headers.add("Via", (minor_version == 0 ? "1.0 " : "1.1 ") + std::string(name));
}

}  // namespace weir::http
