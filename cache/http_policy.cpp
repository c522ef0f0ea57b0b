#include "cache/http_policy.h"

#include <algorithm>
#include <array>
#include <span>

namespace weir {

namespace {

using http::CacheControl;
using std::chrono::seconds;

constexpr milliseconds kLongestGuess = std::chrono::hours(24);
constexpr int kSegmentsPerBlocking = 6;  // HLS specification, appendix B.1

// RFC 9110 15.1. 206 is heuristically cacheable too, but not stored here.
constexpr std::array kGuessable = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
// Statuses whose caching rules are known here, for must-understand (RFC 9111 5.2.2.3).
constexpr std::array kUnderstood = {200, 203, 204, 300, 301, 302, 303, 307, 308, 400,
                                    403, 404, 405, 410, 414, 500, 501, 502, 503, 504};

bool among(const auto& list, const auto& value) {
  return std::ranges::find(list, value) != list.end();
}

bool ends_with_any(std::string_view text, std::span<const std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) {
    return text.size() > end.size() &&
           http::same_ignoring_case(text.substr(text.size() - end.size()), end);
  });
}

constexpr std::array<std::string_view, 2> kPlaylists = {".m3u8", ".m3u"};
constexpr std::array<std::string_view, 1> kManifests = {".mpd"};
constexpr std::array<std::string_view, 13> kSegments = {".ts",   ".m4s",  ".mp4", ".m4v", ".m4a",
                                                        ".cmfv", ".cmfa", ".aac", ".ac3", ".mp3",
                                                        ".vtt",  ".webm", ".key"};

HttpKind kind_of_type(std::string_view type) {
  type = http::trim(type.substr(0, type.find(';')));
  const auto is = [type](std::string_view other) { return http::same_ignoring_case(type, other); };
  if (is("application/vnd.apple.mpegurl") || is("application/x-mpegurl") || is("audio/mpegurl"))
    return HttpKind::Playlist;
  if (is("application/dash+xml")) return HttpKind::Manifest;
  if (is("video/mp2t") || is("video/mp4") || is("audio/mp4") || is("video/iso.segment"))
    return HttpKind::Segment;
  return HttpKind::Other;
}

bool has_validator(const http::Headers& headers) {
  return headers.has("ETag") || headers.has("Last-Modified");
}

// RFC 9111 5.1: a number, of several in a list the first. Anything else is in doubt, and so taken
// for very old.
milliseconds age_field(const http::Headers& headers) {
  const auto fields = headers.find_all("Age");
  if (fields.empty()) return milliseconds(0);
  const std::string_view first = http::trim(fields.front().substr(0, fields.front().find(',')));
  const auto age = fields.size() == 1 ? http::parse_delta_seconds(first) : std::nullopt;
  return age.value_or(CacheControl::kForever);
}

// RFC 9111 4.2.3.
milliseconds initial_age(const http::Headers& headers, std::optional<http::Date> date,
                         http::Date now, milliseconds waited) {
  const seconds apparent = date ? std::max(now - *date, seconds(0)) : seconds(0);
  return std::max<milliseconds>(apparent, age_field(headers) + waited);
}

// What the origin has said, in the order of RFC 9111 4.2.1.
std::optional<milliseconds> explicit_lifetime(const http::Headers& headers,
                                              const CacheControl& control,
                                              std::optional<http::Date> date, http::Date now) {
  if (control.s_maxage) return *control.s_maxage;
  if (control.max_age) return *control.max_age;
  const auto expires = headers.find("Expires");
  if (!expires) return std::nullopt;
  const auto when =
      headers.find_all("Expires").size() == 1 ? http::parse_date(*expires, now) : std::nullopt;
  if (!when) return milliseconds(0);
  return std::max<milliseconds>(*when - date.value_or(now), milliseconds(0));
}

milliseconds guessed_lifetime(const http::Response& response, const CacheControl& control,
                              http::Date date, http::Date now, const HttpPolicy& policy) {
  if (!among(kGuessable, response.status) && !control.is_public) return milliseconds(0);
  const auto text = response.headers.find("Last-Modified");
  const auto modified = text ? http::parse_date(*text, now) : std::nullopt;
  if (modified && *modified < date)
    return std::min<milliseconds>((date - *modified) / 10, kLongestGuess);
  const bool is_error = response.status >= 400;
  return is_error ? policy.error_ttl : milliseconds(0);
}

}  // namespace

HttpKind http_kind(std::string_view path, std::string_view content_type) {
  if (ends_with_any(path, kPlaylists)) return HttpKind::Playlist;
  if (ends_with_any(path, kManifests)) return HttpKind::Manifest;
  if (ends_with_any(path, kSegments)) return HttpKind::Segment;
  return kind_of_type(content_type);
}

bool may_store(const http::Request& request, const http::Response& response) {
  const CacheControl said = http::cache_control_of(response.headers);
  const bool shareable = said.is_public || said.s_maxage;
  if (request.method != "GET" || response.status < 200 || response.status == 206 ||
      response.status == 304)
    return false;
  if (said.must_understand ? !among(kUnderstood, response.status) : said.no_store) return false;
  if (said.is_private || http::cache_control_of(request.headers).no_store) return false;
  // RFC 9111 3.5.
  if (request.headers.has("Authorization") && !shareable && !said.must_revalidate) return false;
  if (response.headers.has("Set-Cookie") && !shareable) return false;
  if (response.headers.has_token("Vary", "*")) return false;
  const bool has_lifetime = shareable || said.max_age || response.headers.has("Expires");
  return has_lifetime || among(kGuessable, response.status);
}

HttpFreshness freshness_of(HttpKind kind, const http::Response& response, http::Date now,
                           milliseconds waited, const HttpPolicy& policy) {
  const http::Headers& headers = response.headers;
  const CacheControl said = http::cache_control_of(headers);
  const auto date_text = headers.find("Date");
  const auto date = date_text ? http::parse_date(*date_text, now) : std::nullopt;
  const bool is_list = kind == HttpKind::Playlist || kind == HttpKind::Manifest;
  const bool good = response.status == 200;

  HttpFreshness freshness;
  freshness.initial_age = initial_age(headers, date, now, waited);
  const auto explicitly = explicit_lifetime(headers, said, date, now);
  if (explicitly) {
    freshness.lifetime = *explicitly;
  } else if (is_list && good) {
    freshness.lifetime = policy.playlist_ttl;
    freshness.from_interval = true;
  } else if (kind == HttpKind::Segment && good) {
    freshness.lifetime = policy.segment_ttl;
  } else {
    freshness.lifetime = guessed_lifetime(response, said, date.value_or(now), now, policy);
  }

  freshness.always_validate = said.no_cache;
  // RFC 9111 5.2.2.10: s-maxage means proxy-revalidate as well.
  freshness.never_stale =
      said.must_revalidate || said.proxy_revalidate || said.s_maxage || said.no_cache;
  if (freshness.never_stale) return freshness;
  freshness.stale_while_revalidate = said.stale_while_revalidate.value_or(seconds(0));
  if (said.stale_if_error)
    freshness.stale_if_error = *said.stale_if_error;
  else if (kind == HttpKind::Segment && good)
    freshness.stale_if_error = policy.segment_ttl;
  else if (is_list && good)
    freshness.stale_if_error = policy.playlist_ttl;
  return freshness;
}

void apply_interval(HttpFreshness& freshness, milliseconds interval, bool blocking) {
  if (freshness.from_interval)
    freshness.lifetime = blocking ? kSegmentsPerBlocking * interval : interval / 2;
  if (freshness.never_stale) return;
  freshness.stale_if_error = std::max(interval - freshness.lifetime, milliseconds(0));
}

bool worth_storing(const HttpFreshness& freshness, const http::Headers& headers) {
  const milliseconds reach =
      freshness.lifetime + std::max(freshness.stale_while_revalidate, freshness.stale_if_error);
  return freshness.initial_age < reach || has_validator(headers);
}

HttpReuse reuse_of(const HttpFreshness& freshness, milliseconds age, const CacheControl& request) {
  if (freshness.always_validate || request.no_cache) return HttpReuse::Validate;
  if (request.max_age && age > *request.max_age) return HttpReuse::Validate;
  milliseconds left = freshness.lifetime - age;
  if (request.min_fresh) left -= *request.min_fresh;
  if (left > milliseconds(0)) return HttpReuse::Fresh;
  if (freshness.never_stale || request.min_fresh) return HttpReuse::Validate;
  if (request.max_stale && -left <= *request.max_stale) return HttpReuse::Fresh;
  const bool soon = -left <= freshness.stale_while_revalidate;
  return soon && freshness.stale_while_revalidate > milliseconds(0) ? HttpReuse::Stale
                                                                    : HttpReuse::Validate;
}

bool usable_on_error(const HttpFreshness& freshness, milliseconds age) {
  return !freshness.never_stale && age < freshness.lifetime + freshness.stale_if_error;
}

bool is_origin_failure(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

CacheControl request_control(const http::Headers& request) {
  CacheControl control = http::cache_control_of(request);
  if (!request.has("Cache-Control") && request.has_token("Pragma", "no-cache"))
    control.no_cache = true;
  return control;
}

bool is_unsafe(std::string_view method) {
  static constexpr std::array<std::string_view, 4> kSafe = {"GET", "HEAD", "OPTIONS", "TRACE"};
  return !among(kSafe, method);
}

void update_headers(http::Headers& stored, const http::Headers& news) {
  static constexpr std::array<std::string_view, 5> kOfTheBody = {
      "Content-Encoding", "Content-Length", "Content-MD5", "Content-Range", "ETag"};
  const auto is_of_the_body = [](std::string_view name) {
    return std::ranges::any_of(
        kOfTheBody, [name](std::string_view each) { return http::same_ignoring_case(name, each); });
  };
  for (const http::Header& field : news)
    if (!is_of_the_body(field.name)) stored.remove(field.name);
  for (const http::Header& field : news)
    if (!is_of_the_body(field.name)) stored.add(field.name, field.value);
}

void clean_for_storing(http::Headers& headers, http::Date now) {
  http::remove_hop_by_hop(headers);
  // The trailers that it announces are not kept.
  headers.remove("Trailer");
  if (!headers.has("Date")) headers.add("Date", http::format_date(now));
}

}  // namespace weir
