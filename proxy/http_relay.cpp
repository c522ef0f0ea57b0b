#include "proxy/http_relay.h"

#include <spdlog/fmt/fmt.h>

#include "common/log.h"
#include "common/stream_key.h"
#include "proxy/http_exchange.h"

namespace weir {

HttpRelay::HttpRelay(Loop& loop, Routing& routing, Resolver& resolver, HttpRelayOptions options,
                     HttpRelayTallies tallies)
    : loop_(loop),
      routing_(routing),
      resolver_(resolver),
      options_(std::move(options)),
      tallies_(tallies),
      pool_(loop, options_.pool),
      random_(std::random_device{}()) {}

Task<void> HttpRelay::serve(std::unique_ptr<Socket> socket) {
  http::ServerConnection client(std::move(socket), options_.times, options_.limits);
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
    HttpExchange exchange(*this, client, std::move(*request));
    auto goes_on = co_await exchange.run();
    if (!goes_on) co_return;
  }
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
