#include "proxy/dialer.h"

#include "common/log.h"
#include "proxy/upstream_connection.h"

namespace weir {

Task<Result<Dialed>> Dialer::next() {
  while (true) {
    auto route = co_await choose();
    if (!route) co_return std::unexpected(route.error());
    auto dialed = co_await connect(std::move(*route));
    if (dialed || dialed.error().code == Errc::Cancelled) co_return dialed;
  }
}

Task<Result<Route>> Dialer::choose() {
  if (tries_++ >= options_.max_tries)
    co_return std::unexpected(last_.value_or(Error{Errc::Unavailable, "no upstream left to try"}));
  auto route = co_await routing_.route(key_, protocol_, excluded_, named_);
  if (!route && route.error().code == Errc::NotFound) co_return std::unexpected(route.error());
  if (!route) co_return std::unexpected(last_.value_or(route.error()));
  current_ = route->upstream->id;
  excluded_.push_back(current_);
  co_return std::move(*route);
}

Task<Result<Dialed>> Dialer::connect(Route route) {
  Error last{Errc::Unavailable, "no endpoint"};
  for (const Endpoint& endpoint : route.endpoints()) {
    const auto began = Clock::now();
    const Deadline deadline = resolver_.loop().in(options_.connect_timeout);
    auto socket = co_await connect_upstream(resolver_, route.upstream, endpoint, deadline, client_);
    if (socket) {
      routing_.connected(protocol_, Clock::now() - began);
      // A client chose it, which must not put back in use what others found to be hung.
      if (!route.named) routing_.succeeded(current_);
      co_return Dialed{std::move(*socket), route.upstream, endpoint, route.remembered};
    }
    last = socket.error();
  }
  reject(last, Stage::Connect);
  co_return std::unexpected(last);
}

void Dialer::reject(const Error& why, Stage stage) {
  last_ = why;
  routing_.failed(key_, current_, why.code, stage);
  log::warn(
      "upstream rejected",
      {{"stream", key_}, {"upstream", current_}, {"reason", name(why.code)}, {"error", why.text}});
}

void Dialer::accept() { routing_.confirmed(key_, current_); }

}  // namespace weir
