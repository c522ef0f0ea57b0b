#include "proxy/http_relay.h"

#include "common/log.h"
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
    HttpExchange exchange(*this, client, std::move(*request));
    auto goes_on = co_await exchange.run();
    if (!goes_on) co_return;
  }
}

}  // namespace weir
