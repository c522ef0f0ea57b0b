#include "common/access/access_request.h"

#include <algorithm>
#include <array>

#include "common/stream_key.h"
#include "common/wire/http1_headers.h"

namespace weir {

namespace {

constexpr std::array<std::string_view, kAccessReasons> kReasons = {
    "address", "no_token",  "bad_token", "expired",       "other_stream",
    "hook",    "hook_down", "upstream",  "upstream_down", "viewers"};

// What playlists are called in a folder that is named after their stream.
constexpr std::array<std::string_view, 9> kOwnNames = {
    "index", "master", "main", "playlist", "manifest", "stream", "hls", "llhls", "chunklist"};

std::string_view extension_of(std::string_view path) {
  path = path.substr(0, path.find('?'));
  const std::size_t dot = path.rfind('.');
  const std::size_t slash = path.rfind('/');
  if (dot == path.npos || (slash != path.npos && dot < slash)) return {};
  return path.substr(dot + 1);
}

// "cam" of "cam-17" and "cam_17"; empty when the name does not end like that.
std::string_view numbered(std::string_view name) {
  const std::size_t digits = name.find_last_not_of("0123456789");
  const bool ends = digits != name.npos && digits + 1 < name.size() && digits > 0;
  if (!ends || (name[digits] != '-' && name[digits] != '_')) return {};
  return name.substr(0, digits);
}

}  // namespace

std::string_view name(AccessReason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

Error AccessRefusal::error() const {
  switch (reason) {
    case AccessReason::HookDown:
    case AccessReason::UpstreamDown: return {Errc::Unavailable, text};
    case AccessReason::Viewers: return {Errc::Limit, text};
    default: return {Errc::Denied, text};
  }
}

int AccessRefusal::http_status() const {
  switch (reason) {
    case AccessReason::NoToken: return 401;
    case AccessReason::HookDown:
    case AccessReason::UpstreamDown:
    case AccessReason::Viewers: return 503;
    default: return 403;
  }
}

std::string access_name(std::string_view key) {
  if (key.starts_with(kDefaultVhost)) key.remove_prefix(kDefaultVhost.size());
  return std::string(key);
}

std::vector<std::string> access_names(std::string_view key, std::string_view path) {
  const std::string whole = access_name(key);
  const std::size_t app = whole.find('/');
  std::vector<std::string> names;
  if (app == whole.npos) return names;
  // Names at least an app and a stream.
  const auto add = [&](std::string_view one) {
    const bool names_stream = one.find('/', app + 1) != one.npos;
    if (names_stream && names.size() < kMaxNames) names.emplace_back(one);
  };
  add(whole);
  const std::size_t last = whole.rfind('/');
  const std::string_view base = std::string_view(whole).substr(last + 1);
  const bool playlist = is_playlist_path(path);
  const std::string_view extension = extension_of(path);
  const bool segment =
      !playlist && !extension.empty() && !http::same_ignoring_case(extension, "flv");
  if (const auto stem = numbered(base); segment && !stem.empty())
    add(std::string_view(whole).substr(0, last + 1 + stem.size()));
  for (std::size_t end = last; end != whole.npos && end > app; end = whole.rfind('/', end - 1))
    add(std::string_view(whole).substr(0, end));
  const bool own = std::ranges::find(kOwnNames, base) != kOwnNames.end();
  if (playlist && own && names.size() > 1)
    std::rotate(names.begin(), names.begin() + 1, names.end());
  return names;
}

bool is_playlist_path(std::string_view path) {
  const std::string_view extension = extension_of(path);
  return http::same_ignoring_case(extension, "m3u8") || http::same_ignoring_case(extension, "mpd");
}

std::string_view access_argument(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find_first_of("&?;"), query.size());
    const std::string_view one = query.substr(0, end);
    const std::size_t equals = one.find('=');
    if (equals != one.npos && one.substr(0, equals) == name) return one.substr(equals + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  if (!http::same_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return {};
  return http::trim(authorization.substr(kScheme.size()));
}

}  // namespace weir
