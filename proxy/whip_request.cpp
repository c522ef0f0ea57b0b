#include "proxy/whip_request.h"

#include <spdlog/fmt/fmt.h>

#include <array>

#include "common/wire/uri.h"
#include "proxy/origin_token.h"

namespace weir {

namespace {

constexpr std::string_view kSdp = "application/sdp";
constexpr std::string_view kFragment = "application/trickle-ice-sdpfrag";
constexpr std::string_view kJson = "application/json";

// The media type without its parameters.
std::string_view type_of(const http::Request& request) {
  const auto value = request.headers.find("Content-Type").value_or("");
  return http::trim(value.substr(0, value.find(';')));
}

std::string_view argument(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view each = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (each.starts_with(name) && each.substr(name.size()).starts_with('='))
      return each.substr(name.size() + 1);
  }
  return {};
}

std::string_view without_end_slash(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

enum class Form { None, Arguments, Json, Path };

struct Named {
  Form form = Form::None;
  std::string_view path;  // of the stream, with Form::Path
  std::optional<bool> publishes{};
};

Named form_of(const http::Target& target) {
  const std::string_view path = without_end_slash(target.path);
  for (const std::string_view name : {"/rtc/v1/whip", "/rtc/v1/whep", "/rtc/v1/whip-play"})
    if (path == name) return {Form::Arguments, {}, path.ends_with("whip")};
  for (const std::string_view name : {"/rtc/v1/publish", "/rtc/v1/play"})
    if (path == name) return {Form::Json, {}, path.ends_with("publish")};
  for (const std::string_view name : {"/whip", "/whep"}) {
    if (path.ends_with(name) && path.size() > name.size())
      return {Form::Path, path.substr(0, path.size() - name.size()), name == "/whip"};
    if (path.starts_with(name) && path.substr(name.size()).starts_with('/'))
      return {Form::Path, path.substr(name.size()), name == "/whip"};
  }
  const std::string_view direction = argument(target.query, "direction");
  if (direction == "whip" || direction == "whep") return {Form::Path, path, direction == "whip"};
  if (!argument(target.query, kSessionArgument).empty()) return {.form = Form::Path, .path = path};
  return {.form = Form::None, .path = path};
}

std::string stream_target(const Named& named, std::string_view query) {
  if (named.form == Form::Json) return {};
  if (named.form != Form::Arguments) return fmt::format("{}?{}", named.path, query);
  const std::string_view app = argument(query, "app");
  return fmt::format("/{}/{}?{}", app.empty() ? "live" : app, argument(query, "stream"), query);
}

}  // namespace

http::Parsed<std::optional<WhipRequest>> whip_request(const http::Request& request) {
  const http::Target target = http::target_of(request);
  const std::string_view type = type_of(request);
  const bool post = request.method == "POST";
  const bool patch = request.method == "PATCH";
  const bool other = request.method == "DELETE" || request.method == "OPTIONS";
  Named named = form_of(target);
  if (named.form == Form::None && post && http::same_ignoring_case(type, kSdp))
    named.form = Form::Path;
  if (named.form == Form::None || (!post && !patch && !other)) return std::nullopt;

  // A browser that asks whether it may has no stream to name; any origin can tell it.
  if (named.form == Form::Json && !post) named = {.form = Form::Path, .path = target.path};
  WhipRequest whip{.stream_target = stream_target(named, target.query),
                   .publishes = named.publishes};
  const auto wants = [&](std::string_view wanted, WhipRequest::Body body) {
    whip.body = body;
    return http::same_ignoring_case(type, wanted);
  };
  if (post && named.form == Form::Json) {
    // SRS's own player sends JSON without saying so.
    if (!wants(kJson, WhipRequest::Body::Json) && !type.empty() && type != "text/plain")
      return http::refuse(415, Errc::Protocol, "application/json is wanted here");
  } else if (post && !wants(kSdp, WhipRequest::Body::Sdp)) {
    return http::refuse(415, Errc::Protocol, "application/sdp is wanted here");
  } else if (patch && !wants(kFragment, WhipRequest::Body::Fragment) &&
             !wants(kSdp, WhipRequest::Body::Sdp)) {
    return http::refuse(415, Errc::Protocol, "application/trickle-ice-sdpfrag is wanted here");
  }
  return whip;
}

Result<std::string> target_of_webrtc_url(std::string_view url) {
  const UriReference uri = split_uri(url);
  if (!uri.scheme || !uri.authority || uri.path.empty())
    return fail(Errc::Protocol, "streamurl is not webrtc://host/app/stream");
  return fmt::format("{}{}{}", uri.path, uri.query ? "?" : "", uri.query.value_or(""));
}

std::optional<std::string> take_session(std::string& target) {
  const std::size_t question = target.find('?');
  if (question == std::string::npos) return std::nullopt;
  const std::string query = target.substr(question + 1);
  const std::string_view value = argument(query, kSessionArgument);
  if (value.empty()) return std::nullopt;
  const std::size_t at = static_cast<std::size_t>(value.data() - query.data());
  const std::size_t dot = value.find('.');
  std::string session(value.substr(0, dot));
  std::string kept = query;
  if (dot != std::string_view::npos) {
    kept.erase(at, dot + 1);  // the next tier's stays
  } else {
    const std::size_t begin = at - kSessionArgument.size() - 1;
    const std::size_t end = at + value.size();
    if (end < kept.size())
      kept.erase(begin, end + 1 - begin);
    else
      kept.erase(begin > 0 ? begin - 1 : 0);
  }
  target.resize(question);
  if (!kept.empty()) target += fmt::format("?{}", kept);
  return session;
}

std::string mapped_location(std::string_view location, const std::string& origin_token,
                            const std::string& session) {
  const UriReference uri = split_uri(location);
  std::string query(uri.query.value_or(""));
  const auto put_before = [&](std::string_view name, std::string_view value) {
    const std::string_view known = argument(query, name);
    if (!known.empty()) {
      const auto at = static_cast<std::size_t>(known.data() - query.data());
      query.insert(at, fmt::format("{}.", value));
    } else {
      query += fmt::format("{}{}={}", query.empty() ? "" : "&", name, value);
    }
  };
  put_before(kOriginArgument, origin_token);
  put_before(kSessionArgument, session);
  const bool rooted = uri.authority && uri.path.empty();
  return fmt::format("{}{}?{}", rooted ? "/" : "", uri.path, query);
}

}  // namespace weir
