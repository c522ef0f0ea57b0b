#include "proxy/http_call.h"

namespace weir {

Task<Result<HttpAnswer>> HttpCall::ask() {
  auto pooled = co_await ask_pooled();
  if (pooled) co_return std::move(*pooled);
  Dialer dialer(context_.routing, context_.resolver, question_.key, Protocol::Http, context_.dial);
  std::optional<Error> last;
  while (true) {
    auto dialed = co_await dialer.next();
    if (!dialed) co_return std::unexpected(last.value_or(dialed.error()));
    HttpAnswer answer{
        .connection = std::make_unique<http::ClientConnection>(std::move(dialed->socket)),
        .response = {},
        .endpoint = dialed->endpoint,
        .upstream = dialed->upstream,
        .key = question_.key,
        .id = question_.id};
    auto response = co_await attempt(*answer.connection, answer.endpoint);
    if (response) {
      if (!dialed->remembered && response->status < 400) dialer.accept();
      answer.response = std::move(*response);
      co_return std::move(answer);
    }
    dialer.reject(response.error(), Stage::Request);
    last = response.error();
    if (last->code == Errc::Cancelled) co_return std::unexpected(*last);
  }
}

// Nothing when a new connection should be tried: an origin may hang up just when it is asked.
Task<std::optional<HttpAnswer>> HttpCall::ask_pooled() {
  if (context_.pool.empty()) co_return std::nullopt;
  auto route = co_await context_.routing.route(question_.key, Protocol::Http, {});
  if (!route) co_return std::nullopt;
  auto pooled = context_.pool.take(route->endpoints());
  if (!pooled) co_return std::nullopt;
  auto response = co_await attempt(*pooled->connection, pooled->endpoint);
  if (!response) co_return std::nullopt;
  HttpAnswer answer{.connection = std::move(pooled->connection),
                    .response = std::move(*response),
                    .endpoint = pooled->endpoint,
                    .upstream = route->upstream,
                    .key = question_.key,
                    .id = question_.id};
  co_return std::move(answer);
}

Task<Result<http::Response>> HttpCall::attempt(http::ClientConnection& connection,
                                               const Endpoint& endpoint) {
  if (question_.needs_host) question_.request.headers.set("Host", to_string(endpoint));
  auto response =
      co_await connection.get(question_.request, context_.loop.in(question_.reply_timeout));
  co_return std::move(response);
}

}  // namespace weir
