#include "proxy/health_probe.h"

#include <spdlog/fmt/fmt.h>

#include "common/http/client_connection.h"
#include "common/rtmp/connection.h"
#include "proxy/upstream_connection.h"

namespace weir {
namespace {

constexpr int kServerError = 500;

// Whole, so that nothing unread makes our end look like a broken connection there.
Task<Result<void>> shake_hands(std::unique_ptr<Socket> socket, Deadline deadline) {
  rtmp::Connection connection(std::move(socket));
  auto greeted = co_await connection.greet(deadline);
  if (!greeted) co_return greeted;
  co_return co_await connection.flush(deadline);
}

Task<Result<void>> get(std::unique_ptr<Socket> socket, std::string host, std::string path,
                       Deadline deadline) {
  http::Request request{.method = "GET", .target = std::move(path)};
  request.headers.add("Host", host);
  request.headers.add("User-Agent", "weir-health");
  request.headers.add("Connection", "close");
  http::ClientConnection connection(std::move(socket));
  auto response = co_await connection.get(std::move(request), deadline);
  if (!response) co_return std::unexpected(response.error());
  if (response->status >= kServerError)
    co_return fail(Errc::Unavailable, fmt::format("answered {}", response->status));
  co_return Result<void>{};
}

Task<Result<void>> probe(Resolver& resolver, UpstreamPtr upstream, Endpoint endpoint,
                         HealthCheck check, std::string path, Deadline deadline) {
  auto socket = co_await connect_upstream(resolver, std::move(upstream), endpoint, deadline);
  if (!socket) co_return std::unexpected(socket.error());
  switch (check) {
    case HealthCheck::Rtmp: co_return co_await shake_hands(std::move(*socket), deadline);
    case HealthCheck::Http:
      co_return co_await get(std::move(*socket), to_string(endpoint), std::move(path), deadline);
    default: co_return Result<void>{};
  }
}

}  // namespace

Result<HealthCheck> parse_health_check(std::string_view text) {
  if (text == "off") return HealthCheck::Off;
  if (text == "auto") return HealthCheck::Auto;
  if (text == "tcp") return HealthCheck::Tcp;
  if (text == "rtmp") return HealthCheck::Rtmp;
  if (text == "http") return HealthCheck::Http;
  return fail(Errc::Protocol, "must be off, auto, tcp, rtmp or http");
}

std::optional<HealthTarget> health_target(const Upstream& upstream, HealthCheck wanted) {
  if (wanted == HealthCheck::Off) return std::nullopt;
  const auto first_of = [&](std::initializer_list<Protocol> protocols) -> std::optional<Protocol> {
    for (const Protocol protocol : protocols)
      if (upstream.speaks(protocol)) return protocol;
    return std::nullopt;
  };
  const auto http = first_of({Protocol::Http, Protocol::Api});
  if (wanted == HealthCheck::Tcp) {
    const auto any = first_of({Protocol::Rtmp, Protocol::Http, Protocol::Api, Protocol::Rtsp});
    if (!any) return std::nullopt;
    return HealthTarget{HealthCheck::Tcp, *any};
  }
  if (wanted == HealthCheck::Http && http) return HealthTarget{HealthCheck::Http, *http};
  if (upstream.speaks(Protocol::Rtmp)) return HealthTarget{HealthCheck::Rtmp, Protocol::Rtmp};
  if (http) return HealthTarget{HealthCheck::Http, *http};
  if (upstream.speaks(Protocol::Rtsp)) return HealthTarget{HealthCheck::Tcp, Protocol::Rtsp};
  return std::nullopt;
}

Task<Result<void>> probe_health(Resolver& resolver, UpstreamPtr upstream, HealthTarget target,
                                std::string path, milliseconds timeout) {
  Result<void> found = fail(Errc::Unavailable, "no endpoint");
  bool all_refused = true;
  for (const Endpoint& endpoint : upstream->at(target.protocol)) {
    const Deadline deadline = resolver.loop().in(timeout);
    found = co_await probe(resolver, upstream, endpoint, target.check, path, deadline);
    if (found || found.error().code == Errc::Cancelled) co_return found;
    all_refused &= found.error().code == Errc::Refused;
  }
  if (!found && found.error().code == Errc::Refused && !all_refused)
    co_return fail(Errc::Unavailable, found.error().text);
  co_return found;
}

}  // namespace weir
