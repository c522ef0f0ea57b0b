// proxy/routing.h
// The Router, asked from any loop. It lives on one loop; questions travel there and
// back as messages, which costs a new session some microseconds and an established one nothing.
// With a view that nodes share, SharedRouting stands between the two.
//
// Threading: the constructor and run() on the home loop, everything else from any loop.
// Bounds: the Router's; questions under way are bounded by the sessions that ask.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <unordered_map>

#include "common/io/wait.h"
#include "common/metrics.h"
#include "proxy/health_checker.h"
#include "proxy/router.h"
#include "proxy/router_state.h"
#include "proxy/shared_routing.h"
#include "proxy/state_keeper.h"
#include "proxy/stream_search.h"
#include "proxy/upstream_gauges.h"

namespace weir {

class Routing {
 public:
  Routing(Loop& home, Router router, Metrics& metrics,
          std::optional<SharedRoutingOptions> shared = std::nullopt,
          HealthCheckOptions health = {.check = HealthCheck::Off});

  // Forgets what is silent and unused, probes the upstreams, and keeps the gauges true, until the loop gives up its
  // waits. Spawn it once, on the home loop.
  Task<void> run();

  // Takes up what the last run left, and keeps it up to date from here on. Before run(), by the
  // constructor's thread.
  void keep_state(std::unique_ptr<StateKeeper> keeper, Duration route_lifetime);

  // As Router's, at the time of their arrival.
  Task<Result<Route>> route(std::string key, Protocol protocol, std::vector<std::string> exclude,
                            std::optional<NamedOrigin> named = std::nullopt);
  // For who wants a stream that is there already, before route(): when none is remembered for it,
  // origins with an API are asked, and its route leads where it is. Nothing is waited for when there
  // is no such origin.
  Task<void> locate(std::string key);
  void confirmed(std::string key, std::string id);
  void failed(std::string key, std::string id, Errc reason, Stage stage = Stage::Connect);
  void succeeded(std::string id);
  // How long a connect to an upstream took; any thread.
  void connected(Protocol protocol, Duration took) {
    connects_[static_cast<std::size_t>(protocol)]->Observe(
        std::chrono::duration<double>(took).count());
  }
  void served(std::string id);

  // As Router's; for threads that are not loops. Errors: Timeout, and the Router's.
  Result<void> heartbeat_from_outside(Registration registration, milliseconds patience);
  Result<void> remove_from_outside(std::string id, milliseconds patience);
  // As Router's, for who asks later than this.
  void reconfigure(Router::Setup setup, HealthCheckOptions health);
  // This node takes no more streams.
  void leave();
  // The process that takes this one's place goes on as this node, and keeps its state from here on.
  // For threads that are not loops. Errors: Timeout.
  Result<void> hand_over(milliseconds patience);
  // What one such process is told by the other: proxy/router_handover.h. Any thread.
  void hear(std::string line);
  // Keeps all that is known. From any thread, when nobody else keeps it any more.
  void begin_to_keep(std::unique_ptr<StateKeeper> keeper, Duration route_lifetime);

  // What nodes share beside routes, on the home loop; null when this node shares nothing.
  SharedState* shared_state() { return shared_ ? &shared_->state() : nullptr; }

  // Runs `ask` with the Router on its loop and waits for its answer; for threads that are not
  // loops. Errors: Timeout.
  template <class Ask>
  auto ask_from_outside(Ask ask, milliseconds patience)
      -> Result<std::invoke_result_t<Ask&, Router&>>;

 private:
  template <class Work>
  auto run_at_home(Work work, milliseconds patience) -> Result<std::invoke_result_t<Work&>>;

  friend class RouteUse;
  // Shared by the session's loop and home; each part belongs to one of them.
  struct Use {
    const std::string key;
    const std::string id;
    const Purpose purpose;
    Loop& loop;
    std::function<void()> on_lost;  // of the session's loop; null once the session has ended

    static void tell_lost(std::shared_ptr<Use> use);
  };

  void opened(std::shared_ptr<Use> use);
  void closed(std::shared_ptr<Use> use);
  void took_effect(Router::Effect effect, const std::string& id);
  void tell_moved(const std::string& key, const std::string& id);
  Task<bool> locate_here(std::string key);
  void confirm(const std::string& key, const std::string& id);
  void save();
  void show();

  Loop& home_;
  Router router_;
  std::unique_ptr<SharedRouting> shared_;  // none: this node's view is its own
  using Uses = std::unordered_multimap<std::string, std::shared_ptr<Use>>;  // by stream
  std::unordered_map<std::string, Uses> uses_;                              // by upstream; home's
  Metrics& metrics_;
  prometheus::Counter& ejections_;
  prometheus::Gauge& live_;
  prometheus::Gauge& ejected_;
  prometheus::Gauge& routes_;
  std::array<prometheus::Histogram*, kProtocolCount> connects_;
  std::optional<RouterState> state_;
  std::unique_ptr<StateKeeper> keeper_;  // none: nothing is kept
  UpstreamGauges gauges_;
  HealthChecker checker_;
  StreamSearch search_;
  std::atomic<bool> may_search_{false};  // as of the last tick
};

// One session's place in the books: the route is held and counted while it lives.
//
// `on_lost`, if given, is called on the session's loop when the session is at the wrong place: when
// its upstream is ejected and others are there, since a server that does not answer any more keeps
// its connections, and who publishes to it would never notice; or when it plays and the stream turns
// out to be elsewhere.
class RouteUse {
 public:
  RouteUse(Routing& routing, std::string key, std::string id,
           std::function<void()> on_lost = nullptr, Purpose purpose = Purpose::Play);
  RouteUse(const RouteUse&) = delete;
  RouteUse& operator=(const RouteUse&) = delete;
  ~RouteUse();

 private:
  Routing& routing_;
  std::shared_ptr<Routing::Use> use_;
};

template <class Work>
auto Routing::run_at_home(Work work, milliseconds patience) -> Result<std::invoke_result_t<Work&>> {
  using Answer = std::invoke_result_t<Work&>;
  // Shared with the message, which may run after the patience has ended.
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  home_.post([promise, work = std::move(work)]() mutable { promise->set_value(work()); });
  if (answer.wait_for(patience) != std::future_status::ready)
    return fail(Errc::Timeout, "the routing loop does not answer");
  return answer.get();
}

template <class Ask>
auto Routing::ask_from_outside(Ask ask, milliseconds patience)
    -> Result<std::invoke_result_t<Ask&, Router&>> {
  return run_at_home([this, ask = std::move(ask)]() mutable { return ask(router_); }, patience);
}

}  // namespace weir
