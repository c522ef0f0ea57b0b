#include "proxy/http_forwarding.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/http/forwarded.h"
#include "common/log.h"
#include "common/stream_key.h"
#include "common/wire/http1_via.h"
#include "proxy/upstream.h"

namespace weir {

namespace {

std::string joined(const http::Headers& headers, std::string_view name, std::string_view last) {
  return fmt::format("{}{}{}", fmt::join(headers.find_all(name), ", "),
                     headers.has(name) ? ", " : "", last);
}

void tell_whose(http::Headers& headers, const Requester& by, const std::string& host) {
  const std::string_view proto = by.secure ? "https" : "http";
  headers.set("X-Forwarded-For", joined(headers, "X-Forwarded-For", by.sender.host()));
  if (headers.has("Forwarded")) {
    const auto element = fmt::format("{};proto={}", http::forwarded_for(by.sender), proto);
    headers.set("Forwarded", joined(headers, "Forwarded", element));
  }
  if (!headers.has("X-Forwarded-Proto")) headers.add("X-Forwarded-Proto", proto);
  if (!headers.has("X-Forwarded-Host") && !host.empty()) headers.add("X-Forwarded-Host", host);
}

void add_headers(http::Request& request, const std::string& host, const ForwardedFor& how) {
  http::Headers& headers = request.headers;
  const int client_version = std::exchange(request.minor_version, 1);
  http::remove_hop_by_hop(headers, how.upgrade ? http::Upgrade::Keep : http::Upgrade::Remove);
  http::set_framing(headers, how.framing);
  if (!host.empty()) headers.set("Host", host);
  if (how.requester)
    tell_whose(headers, *how.requester, host);
  else
    http::remove_hop_fields(headers);
  headers.set("X-Request-Id", how.mark.id);
  http::add_via(headers, client_version, how.node_id);
  http::add_cdn_loop(headers, how.node_id);
}

}  // namespace

Requester Requester::of(const http::ServerConnection& connection) {
  return {.ends = ClientEnds::of(connection.socket()),
          .sender = connection.sender(),
          .secure = connection.socket().is_wrapped()};
}

http::Parsed<Forwarding> forward(http::Request& request, const ForwardedFor& how) {
  const auto next = next_hop(how.mark, how.node_id, how.max_hops);
  if (!next) {
    log::warn("request refused: upstreams form a loop", {{"id", how.mark.id},
                                                         {"node", how.node_id},
                                                         {"path", log::redact_args(request.target)},
                                                         {"error", next.error().text}});
    return http::refuse(508, Errc::Loop, next.error().text);
  }
  if (request.method == "CONNECT") return http::refuse(501, Errc::Denied, "CONNECT is not offered");

  const http::Target target = http::target_of(request);
  const std::string host(target.authority);
  const bool has_query = request.target.find('?') != std::string::npos;
  std::string origin_form = fmt::format("{}{}{}", target.path, has_query ? "?" : "", target.query);
  auto key = http_route_key(host, origin_form);
  if (!key) return std::unexpected(key.error());
  request.target = std::move(origin_form);
  add_headers(request, host, how);
  return Forwarding{.key = std::move(*key), .needs_host = host.empty()};
}

http::Parsed<std::string> http_route_key(std::string_view host, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const auto stream =
      path == "*" ? fail(Errc::NotFound, "no stream") : stream_from_http(host, target);
  if (stream) return stream->key();
  if (stream.error().code == Errc::Protocol)
    return http::refuse(400, Errc::Protocol, stream.error().text);
  const auto any = stream_from_http(host, "/any/stream");
  if (!any) return http::refuse(400, any.error().code, any.error().text);
  if (stream.error().code == Errc::Limit)
    return fmt::format("{}/#{:x}", any->vhost, stable_hash(path));
  return fmt::format("{}{}{}", any->vhost, path.starts_with('/') ? "" : "/", path);
}

}  // namespace weir
