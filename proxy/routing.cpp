#include "proxy/routing.h"

#include <algorithm>

namespace weir {

namespace {
constexpr std::chrono::seconds kTick{1};

prometheus::Gauge& upstreams(Metrics& metrics, const char* state) {
  return metrics.gauge("weir_upstreams", "Upstreams known and alive.", {{"state", state}});
}

}  // namespace

Routing::Routing(Loop& home, Router router, Metrics& metrics,
                 std::optional<SharedRoutingOptions> shared)
    : home_(home),
      router_(std::move(router)),
      shared_(shared ? std::make_unique<SharedRouting>(home, router_, std::move(*shared), metrics)
                     : nullptr),
      metrics_(metrics),
      ejections_(metrics.counter("weir_upstream_ejections_total",
                                 "Upstreams given up for a while because they failed.")),
      live_(upstreams(metrics, "live")),
      ejected_(upstreams(metrics, "ejected")),
      routes_(metrics.gauge("weir_routes", "Streams whose upstream is remembered.")) {
  router_.on_moved([this](const std::string& key, const std::string& id) { tell_moved(key, id); });
}

void Routing::show() const {
  int live = 0;
  int ejected = 0;
  for (const UpstreamState& state : router_.snapshot(home_.now()))
    if (state.alive) ++(state.ejected() ? ejected : live);
  live_.Set(live);
  ejected_.Set(ejected);
  routes_.Set(static_cast<double>(router_.route_count()));
}

Task<void> Routing::run() {
  Child shared(home_);
  if (shared_) shared.start(shared_->run());
  while (true) {
    show();
    auto slept = co_await sleep(home_, kTick);
    if (!slept) break;
    router_.tick(home_.now());
  }
  co_await shared.join();
}

Task<Result<Route>> Routing::route(std::string key, Protocol protocol,
                                   std::vector<std::string> exclude,
                                   std::optional<NamedOrigin> named) {
  if (shared_) {
    auto question = CallTask(home_, [&] { return shared_->route(key, protocol, exclude, named); });
    auto answer = co_await question;
    co_return answer;
  }
  auto question = Call(home_, [this, &key, protocol, &exclude, &named] {
    return router_.route(key, protocol, home_.now(), exclude, named);
  });
  auto answer = co_await question;
  co_return answer;
}

void Routing::confirmed(std::string key, std::string id) {
  home_.post([this, key = std::move(key), id = std::move(id)] {
    // The upstream may have gone meanwhile; then there is nothing to remember.
    if (shared_)
      shared_->confirmed(key, id);
    else
      static_cast<void>(router_.confirmed(key, id, home_.now()));
  });
}

void Routing::failed(std::string key, std::string id, Errc reason, Stage stage) {
  home_.post([this, key = std::move(key), id = std::move(id), reason, stage] {
    metrics_
        .counter("weir_upstream_failures_total", "Requests that an upstream failed, by why.",
                 {{"reason", std::string(name(reason))}})
        .Increment();
    const auto effect = router_.failed(key, id, reason, home_.now(), stage);
    if (effect != Router::Effect::None) ejections_.Increment();
    if (effect == Router::Effect::Moved) tell_ejected(id);
  });
}

void Routing::succeeded(std::string id) {
  home_.post([this, id = std::move(id)] { router_.succeeded(id, home_.now()); });
}

Result<void> Routing::heartbeat_from_outside(Registration registration, milliseconds patience) {
  auto heard = run_at_home(
      [this, registration = std::move(registration)] {
        return shared_ ? shared_->heartbeat(registration)
                       : router_.heartbeat(registration, home_.now());
      },
      patience);
  if (!heard) return std::unexpected(heard.error());
  return *heard;
}

Result<void> Routing::remove_from_outside(std::string id, milliseconds patience) {
  auto removed = run_at_home(
      [this, id = std::move(id)] { return shared_ ? shared_->remove(id) : router_.remove(id); },
      patience);
  if (!removed) return std::unexpected(removed.error());
  return *removed;
}

void Routing::leave() {
  home_.post([this] {
    if (shared_) shared_->leave();
  });
}

void Routing::opened(std::shared_ptr<Use> use) {
  home_.post([this, use = std::move(use)] {
    router_.opened(use->key, use->id, home_.now(), use->purpose);
    uses_[use->id].emplace(use->key, use);
  });
}

void Routing::closed(std::shared_ptr<Use> use) {
  home_.post([this, use = std::move(use)] {
    router_.closed(use->key, use->id, home_.now(), use->purpose);
    auto& of_upstream = uses_.find(use->id)->second;
    auto [at, end] = of_upstream.equal_range(use->key);
    of_upstream.erase(std::find_if(at, end, [&](const auto& each) { return each.second == use; }));
    if (of_upstream.empty()) uses_.erase(use->id);
  });
}

void Routing::Use::tell_lost(std::shared_ptr<Use> use) {
  Loop& loop = use->loop;
  loop.post([use = std::move(use)] {
    if (use->on_lost) use->on_lost();
  });
}

void Routing::tell_ejected(const std::string& id) {
  const auto of_upstream = uses_.find(id);
  if (of_upstream == uses_.end()) return;
  for (const auto& [key, use] : of_upstream->second) Use::tell_lost(use);
}

void Routing::tell_moved(const std::string& key, const std::string& id) {
  for (const auto& [upstream, of_upstream] : uses_) {
    if (upstream == id) continue;
    const auto [begin, end] = of_upstream.equal_range(key);
    for (auto at = begin; at != end; ++at)
      if (at->second->purpose == Purpose::Play) Use::tell_lost(at->second);
  }
}

RouteUse::RouteUse(Routing& routing, std::string key, std::string id, std::function<void()> on_lost,
                   Purpose purpose)
    : routing_(routing),
      use_(std::make_shared<Routing::Use>(std::move(key), std::move(id), purpose, *Loop::current(),
                                          std::move(on_lost))) {
  routing_.opened(use_);
}

RouteUse::~RouteUse() {
  use_->on_lost = nullptr;
  routing_.closed(std::move(use_));
}

}  // namespace weir
