// proxy/routing.h
// The Router, asked from any loop. It lives on one loop; questions travel there and back as messages, which
// costs a new session some microseconds and an established one nothing.
//
// Threading: the constructor and run() on the home loop, everything else from any loop.
// Bounds: the Router's; questions under way are bounded by the sessions that ask.
#pragma once

#include <future>

#include "common/io/wait.h"
#include "proxy/router.h"

namespace weir {

class Routing {
 public:
  Routing(Loop& home, Router router) : home_(home), router_(std::move(router)) {}

  // Forgets what is silent and unused, until the loop gives up its waits. Spawn it once, on the home loop.
  Task<void> run();

  // As Router's, at the time of their arrival.
  Task<Result<Route>> route(std::string key, Protocol protocol, std::vector<std::string> exclude);
  void confirmed(std::string key, std::string id);
  void failed(std::string key, std::string id, Errc reason);
  void succeeded(std::string id);
  void opened(std::string key, std::string id);
  void closed(std::string key, std::string id);

  // Runs `ask` with the Router on its loop and waits for its answer; for threads that are not loops.
  // Errors: Timeout.
  template <class Ask>
  auto ask_from_outside(Ask ask, milliseconds patience) -> Result<std::invoke_result_t<Ask&, Router&>>;

 private:
  template <class Tell>
  void tell(Tell tell);

  Loop& home_;
  Router router_;
};

// One session's place in the books: the route is held and counted while it lives.
class RouteUse {
 public:
  RouteUse() = default;
  RouteUse(Routing& routing, std::string key, std::string id);
  RouteUse(RouteUse&& other) noexcept;
  RouteUse& operator=(RouteUse&& other) noexcept;
  ~RouteUse();

 private:
  Routing* routing_ = nullptr;
  std::string key_;
  std::string id_;
};

template <class Ask>
auto Routing::ask_from_outside(Ask ask, milliseconds patience)
    -> Result<std::invoke_result_t<Ask&, Router&>> {
  using Answer = std::invoke_result_t<Ask&, Router&>;
  // Shared with the message, which may run after the patience has ended.
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  home_.post([this, promise, ask = std::move(ask)]() mutable { promise->set_value(ask(router_)); });
  if (answer.wait_for(patience) != std::future_status::ready)
    return fail(Errc::Timeout, "the routing loop does not answer");
  return answer.get();
}

}  // namespace weir
