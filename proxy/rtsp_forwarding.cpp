#include "proxy/rtsp_forwarding.h"

#include <spdlog/fmt/fmt.h>

#include "common/stream_key.h"
#include "common/wire/rtsp_transport.h"
#include "common/wire/rtsp_url.h"
#include "common/wire/uri.h"

namespace weir {

namespace {

constexpr std::string_view kMethods =
    "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, PAUSE, TEARDOWN, GET_PARAMETER, "
    "SET_PARAMETER";

// What comes before any description: its URI is the stream's own.
bool names_whole_stream(std::string_view method) {
  return method == "OPTIONS" || method == "DESCRIBE" || method == "ANNOUNCE";
}

rtsp::Parsed<std::string> route_key(std::string_view uri) {
  const auto stream = stream_from_rtsp(uri);
  if (stream) return stream->key();
  const auto refused = [](const Error& why) { return http::refuse(400, why.code, why.text); };
  if (stream.error().code != Errc::NotFound) return refused(stream.error());
  // One segment: many servers, and most cameras, have streams of such names.
  const UriReference parts = split_uri(uri);
  const std::string_view path = http::trim(parts.path);
  const std::size_t first = path.find_first_not_of('/');
  if (first == std::string_view::npos || path == "*") return std::string();
  const std::size_t last = path.find_last_not_of('/');
  const auto host = stream_from_rtsp(fmt::format(
      "rtsp://{}/any/stream?{}", parts.authority.value_or(""), parts.query.value_or("")));
  if (!host) return refused(host.error());
  return fmt::format("{}/{}", host->vhost, path.substr(first, last + 1 - first));
}

void map_url(rtsp::Headers& headers, std::string_view name, std::string_view base) {
  if (const auto url = headers.find(name)) headers.set(name, rtsp::with_base(*url, base));
}

// RFC 2326 12.43: [protocol "/"] version, then by whom.
std::string_view received_by(std::string_view member) {
  const std::size_t space = member.find_first_of(" \t");
  if (space == std::string_view::npos) return {};
  member = http::trim(member.substr(space));
  return member.substr(0, member.find_first_of(" \t("));
}

bool leads_to(std::string_view url, std::string_view origin) {
  const auto base = rtsp::base_of(url);
  if (!base) return false;
  const std::string_view at = std::string_view(*base).substr(base->find("://") + 3);
  return at == origin || fmt::format("{}:554", at) == origin;
}

}  // namespace

rtsp::Parsed<RtspTarget> rtsp_target(const rtsp::Message& request) {
  const bool whole = names_whole_stream(request.method);
  auto key = route_key(whole ? std::string_view(request.uri) : rtsp::without_track(request.uri));
  if (!key) return std::unexpected(key.error());
  if (key->empty() && request.method != "OPTIONS")
    return http::refuse(400, Errc::NotFound, "no stream name");
  return RtspTarget{.key = std::move(*key), .base = rtsp::base_of(request.uri).value_or("")};
}

rtsp::Parsed<void> mark_hop(rtsp::Message& request, std::string_view node_id, int max_hops) {
  int hops = 0;
  for (const std::string_view value : request.headers.find_all("Via")) {
    for (const std::string_view member : http::split_list(value)) {
      ++hops;
      if (http::same_ignoring_case(received_by(member), node_id))
        return http::refuse(508, Errc::Loop, "request came back to this node");
    }
  }
  if (hops >= max_hops) return http::refuse(508, Errc::Loop, "too many hops");
  request.headers.add("Via", fmt::format("RTSP/{}.0 {}", request.version, node_id));
  return {};
}

bool keep_interleaved(rtsp::Message& setup) {
  std::string kept;
  for (const std::string_view value : setup.headers.find_all("Transport")) {
    const std::string part = rtsp::interleaved_only(value);
    if (!kept.empty() && !part.empty()) kept += ',';
    kept += part;
  }
  if (kept.empty()) return false;
  setup.headers.set("Transport", kept);
  return true;
}

void show_to_client(rtsp::Message& message, std::string_view base, std::string_view origin) {
  if (base.empty()) return;
  rtsp::Headers& headers = message.headers;
  map_url(headers, "Content-Base", base);
  map_url(headers, "Content-Location", base);
  if (const auto info = headers.find("RTP-Info"))
    headers.set("RTP-Info", rtsp::rtp_info_with_base(*info, base));
  if (const auto to = headers.find("Location"); to && leads_to(*to, origin))
    headers.set("Location", rtsp::with_base(*to, base));
  if (message.is_request()) message.uri = rtsp::with_base(message.uri, base);
  const auto type = headers.find("Content-Type").value_or("");
  if (!http::same_ignoring_case(http::trim(type.substr(0, type.find(';'))), "application/sdp"))
    return;
  std::string shown = rtsp::sdp_with_base(message.body, base);
  if (shown != message.body) rtsp::set_body(message, std::move(shown));
}

rtsp::Message answer_options(const rtsp::Message& request) {
  rtsp::Message answer = rtsp::answer_to(request, 200);
  answer.headers.add("Public", kMethods);
  return answer;
}

}  // namespace weir
