#include "proxy/http_relay.h"

#include "common/log.h"
#include "common/stream_key.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/http_exchange.h"
#include "proxy/relay_metrics.h"

namespace weir {

HttpRelayTallies HttpRelayTallies::of(Metrics& metrics) {
  return {
      .requests = metrics.tally("weir_http_requests_total", "HTTP requests relayed."),
      .failures =
          metrics.tally("weir_http_failures_total", "HTTP requests that no origin answered."),
      .reused = metrics.tally("weir_http_reused_total", "HTTP requests over a pooled connection."),
      .bytes_to_clients = relayed_bytes(metrics, "http", "down"),
      .bytes_to_origins = relayed_bytes(metrics, "http", "up")};
}

HttpRelay::HttpRelay(Loop& loop, Routing& routing, Resolver& resolver, HttpRelayOptions options,
                     HttpRelayTallies tallies)
    : loop_(loop),
      routing_(routing),
      resolver_(resolver),
      options_(std::move(options)),
      tallies_(tallies),
      pool_(loop, options_.pool) {}

Task<void> HttpRelay::serve(std::unique_ptr<Socket> socket) {
  http::ServerConnection client(std::move(socket), options_.times, options_.limits,
                                options_.admission);
  const std::string peer = client.socket().peer().text();
  while (true) {
    auto request = co_await client.read_request();
    if (!request) {
      if (request.error().status != 0)
        log::info(
            "http request refused",
            {{"peer", peer}, {"status", request.error().status}, {"error", request.error().text}});
      co_await client.refuse_with(request.error());
      co_return;
    }
    auto file = options_.files != nullptr ? options_.files->find(*request) : std::nullopt;
    if (file) {
      auto kept = co_await options_.files->serve(client, std::move(*request), std::move(*file));
      if (!kept) co_return;
      continue;
    }
    auto signalled = Signalled::NotTaken;
    if (whip_) signalled = co_await serve_signalling(*whip_, client, *request);
    if (signalled == Signalled::Closed) co_return;
    if (signalled == Signalled::On) continue;
    Grant grant;
    if (Access::current() != nullptr) {
      const auto refused = co_await refuse_unless_allowed(client, *request, grant);
      if (refused == Went::Closed) co_return;
      if (refused == Went::On) continue;
    }
    if (client.session() != nullptr) client.session()->set_expiry(grant.expires());
    HttpExchange exchange(*this, client, std::move(*request));
    auto goes_on = co_await exchange.run();
    if (!goes_on) co_return;
  }
}

// NotTaken: it is allowed. A live pipe's grant lasts as long as its response.
Task<HttpRelay::Went> HttpRelay::refuse_unless_allowed(http::ServerConnection& client,
                                                       const http::Request& request, Grant& grant) {
  const http::Target target = http::target_of(request);
  const auto key = http_route_key(target.authority, target.path);
  if (request.method == "OPTIONS" || !key) co_return Went::NotTaken;
  Access& access = *Access::current();
  const Address peer = client.socket().peer();
  const HopMark mark = hop_mark_of(request.headers);
  std::optional<AccessRefusal> refusal;
  const auto stream = stream_from_http(target.authority, target.path);
  if (http::is_websocket_upgrade(request) || (stream && stream->extension == "flv")) {
    auto permit = co_await access.may(access_to_pipe(request, "flv", *key, peer, mark.id));
    if (permit)
      grant = std::move(*permit);
    else
      refusal = permit.error();
  } else {
    AccessRequest file = access_to_file(request, *key, peer, mark.id);
    const auto look = access.look(file);
    if (!look) refusal = look.error();
    if (look && *look == Access::Look::Ask) {
      auto allowed = co_await access.may_fetch(std::move(file));
      if (!allowed) refusal = allowed.error();
    }
  }
  if (!refusal) co_return Went::NotTaken;
  log::info("http request refused", {{"id", mark.id},
                                     {"peer", peer.text()},
                                     {"path", log::redact_args(request.target)},
                                     {"reason", name(refusal->reason)},
                                     {"error", refusal->text}});
  const bool keep = http::keeps_alive(request) && client.body().ended();
  http::Headers extra{{"X-Request-Id", mark.id}};
  if (!keep) extra.add("Connection", "close");
  auto told = co_await client.respond(refusal_response(*refusal, request, std::move(extra)));
  if (!keep && told) co_await client.close_gently();
  co_return keep&& told ? Went::On : Went::Closed;
}

}  // namespace weir
