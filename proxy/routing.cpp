#include "proxy/routing.h"

#include <algorithm>
#include "common/log.h"
#include "proxy/router_handover.h"

namespace weir {

namespace {
constexpr std::chrono::seconds kTick{1};

prometheus::Gauge& upstreams(Metrics& metrics, const char* state) {
  return metrics.gauge("weir_upstreams", "Upstreams known and alive.", {{"state", state}});
}

}  // namespace

Routing::Routing(Loop& home, Router router, Metrics& metrics,
                 std::optional<SharedRoutingOptions> shared, HealthCheckOptions health)
    : home_(home),
      router_(std::move(router)),
      shared_(shared ? std::make_unique<SharedRouting>(home, router_, std::move(*shared), metrics)
                     : nullptr),
      metrics_(metrics),
      ejections_(metrics.counter("weir_upstream_ejections_total",
                                 "Upstreams given up for a while because they failed.")),
      live_(upstreams(metrics, "live")),
      ejected_(upstreams(metrics, "ejected")),
      routes_(metrics.gauge("weir_routes", "Streams whose upstream is remembered.")),
      gauges_(metrics),
      checker_(home, router_.registry(), std::move(health), metrics,
               [this](const std::string& id, Probed result, const std::string& why) {
                 took_effect(router_.probed(id, result, why, home_.now()), id);
               }),
      search_(home, router_.registry()) {
  for (std::size_t i = 0; i < kProtocolCount; ++i)
    connects_[i] =
        &metrics.histogram("weir_upstream_connect_seconds",
                           "Time to connect to an upstream, its name looked up included.",
                           {kWaitBuckets.begin(), kWaitBuckets.end()},
                           {{"protocol", std::string(name(static_cast<Protocol>(i)))}});
  router_.on_moved([this](const std::string& key, const std::string& id) { tell_moved(key, id); });
}

void Routing::show() {
  int live = 0;
  int ejected = 0;
  const auto states = router_.snapshot(home_.now());
  for (const UpstreamState& state : states)
    if (state.alive) ++(state.ejected() ? ejected : live);
  gauges_.show(states);
  may_search_ = search_.possible();
  live_.Set(live);
  ejected_.Set(ejected);
  routes_.Set(static_cast<double>(router_.route_count()));
}

void Routing::keep_state(std::unique_ptr<StateKeeper> keeper, Duration route_lifetime) {
  keeper_ = std::move(keeper);
  if (!keeper_->keeps()) return;
  state_.emplace(router_, route_lifetime);
  state_->restore(keeper_->take_restored(), Clock::now(), wall_now());
}

void Routing::save() {
  if (!state_) return;
  if (keeper_->keeps()) {
    keeper_->save(state_->changes(home_.now(), wall_now()));
  } else {
    router_.watch_routes(false);
    state_.reset();
  }
}

Task<void> Routing::run() {
  Child shared(home_);
  if (shared_) shared.start(shared_->run());
  Child checker(home_);
  checker.start(checker_.run());
  while (true) {
    save();
    show();
    auto slept = co_await sleep(home_, kTick);
    if (!slept) break;
    router_.tick(home_.now());
  }
  save();
  co_await checker.join();
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
  home_.post([this, key = std::move(key), id = std::move(id)] { confirm(key, id); });
}

void Routing::confirm(const std::string& key, const std::string& id) {
  // The upstream may have gone meanwhile; then there is nothing to remember.
  if (shared_)
    shared_->confirmed(key, id);
  else
    static_cast<void>(router_.confirmed(key, id, home_.now()));
}

Task<void> Routing::locate(std::string key) {
  if (!may_search_) co_return;
  auto search = CallTask(home_, [this, &key] { return locate_here(key); });
  static_cast<void>(co_await search);
}

Task<bool> Routing::locate_here(std::string key) {
  if (router_.remembered(key, home_.now())) co_return true;
  const auto found = co_await search_.find(key);
  if (!found || router_.remembered(key, home_.now())) co_return false;
  log::info("stream found by an API", {{"stream", key}, {"upstream", *found}});
  confirm(key, *found);
  co_return true;
}

void Routing::failed(std::string key, std::string id, Errc reason, Stage stage) {
  home_.post([this, key = std::move(key), id = std::move(id), reason, stage] {
    metrics_
        .counter("weir_upstream_failures_total", "Requests that an upstream failed, by why.",
                 {{"reason", std::string(name(reason))}})
        .Increment();
    took_effect(router_.failed(key, id, reason, home_.now(), stage), id);
  });
}

void Routing::succeeded(std::string id) {
  home_.post([this, id = std::move(id)] { router_.succeeded(id, home_.now()); });
}

void Routing::served(std::string id) {
  home_.post([this, id = std::move(id)] { router_.served(id); });
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

void Routing::reconfigure(Router::Setup setup, HealthCheckOptions health) {
  home_.post([this, setup = std::move(setup), health = std::move(health)]() mutable {
    router_.reconfigure(std::move(setup), home_.now());
    checker_.change(std::move(health));
  });
}

Result<void> Routing::hand_over(milliseconds patience) {
  auto done = run_at_home(
      [this] {
        if (shared_) shared_->fall_silent();
        save();
        state_.reset();
        router_.watch_routes(false);
        keeper_.reset();
        return true;
      },
      patience);
  if (!done) return std::unexpected(done.error());
  return {};
}

void Routing::hear(std::string line) {
  home_.post([this, line = std::move(line)] { weir::hear(router_, line, home_.now()); });
}

void Routing::begin_to_keep(std::unique_ptr<StateKeeper> keeper, Duration route_lifetime) {
  home_.post([this, keeper = std::move(keeper), route_lifetime]() mutable {
    keeper_ = std::move(keeper);
    if (!keeper_->keeps()) return;
    static_cast<void>(
        keeper_->take_restored());  // the process before this one has told what is true
    state_.emplace(router_, route_lifetime);
    router_.watch_routes(true);
    for (const std::string& key : router_.route_keys()) router_.route_changed(key);
  });
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

void Routing::took_effect(Router::Effect effect, const std::string& id) {
  if (effect != Router::Effect::None) ejections_.Increment();
  if (effect != Router::Effect::Moved) return;
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
