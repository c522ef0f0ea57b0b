#include "proxy/routing.h"

namespace weir {

namespace {
constexpr std::chrono::seconds kTick{1};
}  // namespace

Task<void> Routing::run() {
  while (true) {
    auto slept = co_await sleep(home_, kTick);
    if (!slept) co_return;
    router_.tick(home_.now());
  }
}

Task<Result<Route>> Routing::route(std::string key, Protocol protocol, std::vector<std::string> exclude) {
  auto question =
      Call(home_, [this, &key, protocol, &exclude] { return router_.route(key, protocol, home_.now(), exclude); });
  auto answer = co_await question;
  co_return answer;
}

template <class Tell>
void Routing::tell(Tell tell) {
  home_.post(std::move(tell));
}

void Routing::confirmed(std::string key, std::string id) {
  tell([this, key = std::move(key), id = std::move(id)] {
    // The upstream may have gone meanwhile; then there is nothing to remember.
    static_cast<void>(router_.confirmed(key, id, home_.now()));
  });
}

void Routing::failed(std::string key, std::string id, Errc reason) {
  tell([this, key = std::move(key), id = std::move(id), reason] { router_.failed(key, id, reason, home_.now()); });
}

void Routing::succeeded(std::string id) {
  tell([this, id = std::move(id)] { router_.succeeded(id, home_.now()); });
}

void Routing::opened(std::string key, std::string id) {
  tell([this, key = std::move(key), id = std::move(id)] { router_.opened(key, id); });
}

void Routing::closed(std::string key, std::string id) {
  tell([this, key = std::move(key), id = std::move(id)] { router_.closed(key, id, home_.now()); });
}

RouteUse::RouteUse(Routing& routing, std::string key, std::string id)
    : routing_(&routing), key_(std::move(key)), id_(std::move(id)) {
  routing_->opened(key_, id_);
}

RouteUse::RouteUse(RouteUse&& other) noexcept
    : routing_(std::exchange(other.routing_, nullptr)), key_(std::move(other.key_)), id_(std::move(other.id_)) {}

RouteUse& RouteUse::operator=(RouteUse&& other) noexcept {
  std::swap(routing_, other.routing_);
  std::swap(key_, other.key_);
  std::swap(id_, other.id_);
  return *this;
}

RouteUse::~RouteUse() {
  if (routing_ != nullptr) routing_->closed(std::move(key_), std::move(id_));
}

}  // namespace weir
