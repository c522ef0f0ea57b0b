#include "proxy/dialer.h"

#include "common/log.h"

namespace weir {

Task<Result<Dialed>> Dialer::next() {
  while (std::ssize(tried_) < options_.max_tries) {
    auto route = co_await routing_.route(key_, protocol_, tried_);
    if (!route) co_return std::unexpected(last_.value_or(route.error()));
    tried_.push_back(route->upstream->id);
    auto dialed = co_await connect(std::move(*route));
    if (dialed) {
      routing_.succeeded(tried_.back());
      co_return dialed;
    }
    blame(dialed.error().code, dialed.error());
    if (dialed.error().code == Errc::Cancelled) break;
  }
  co_return std::unexpected(last_.value_or(Error{Errc::Unavailable, "no upstream left to try"}));
}

Task<Result<Dialed>> Dialer::connect(Route route) {
  Error last{Errc::Unavailable, "no endpoint"};
  for (const Endpoint& endpoint : route.endpoints()) {
    const Deadline deadline = resolver_.loop().in(options_.connect_timeout);
    auto socket = co_await resolver_.connect(endpoint.host, endpoint.port, deadline);
    if (socket) co_return Dialed{std::move(*socket), route.upstream, endpoint, route.remembered};
    last = socket.error();
  }
  co_return std::unexpected(last);
}

void Dialer::reject(const Error& why) {
  const bool hung_up =
      why.code == Errc::Closed || why.code == Errc::Reset || why.code == Errc::Protocol;
  blame(hung_up ? Errc::Denied : why.code, why);
}

// Reports the upstream with `reason`, which decides whether it is ejected.
void Dialer::blame(Errc reason, const Error& why) {
  last_ = why;
  routing_.failed(key_, tried_.back(), reason);
  log::warn("upstream rejected", {{"stream", key_},
                                  {"upstream", tried_.back()},
                                  {"reason", name(why.code)},
                                  {"error", why.text}});
}

void Dialer::accept() { routing_.confirmed(key_, tried_.back()); }

}  // namespace weir
