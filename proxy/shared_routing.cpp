#include "proxy/shared_routing.h"

#include "common/log.h"

namespace weir {
namespace {

constexpr int kMaxTries = 3;
constexpr std::chrono::seconds kYoung{10};
constexpr milliseconds kLook{50};  // whether Redis is back
constexpr Deadline kNever = Deadline::max();

SharedRoute route_to(const std::string& key, const Upstream& upstream) {
  return {key, upstream.id, upstream.generation()};
}

}  // namespace

SharedRouting::SharedRouting(Loop& loop, Router& router, SharedRoutingOptions options,
                             Metrics& metrics)
    : loop_(loop),
      router_(router),
      options_(std::move(options)),
      resolver_(loop),
      state_(resolver_, options_.state, *this, metrics),
      unshared_added_(loop) {}

Task<void> SharedRouting::run() {
  Child self(loop_);
  Child late(loop_);
  if (options_.self) self.start(tell_self());
  late.start(share_late());
  co_await state_.run();
  co_await late.join();
  co_await self.join();
}

bool SharedRouting::shares_routes() const {
  return options_.state.follow.contains(SharedKind::Route);
}

Task<Result<Route>> SharedRouting::route(std::string key, Protocol protocol,
                                         std::vector<std::string> exclude,
                                         std::optional<NamedOrigin> named) {
  if (!shares_routes()) co_return router_.route(key, protocol, loop_.now(), exclude, named);
  const Deadline deadline = loop_.in(options_.state.store.timeout);
  std::optional<SharedRoute> claimed;
  for (int tries = 0; tries < kMaxTries && state_.up(); ++tries) {
    co_await claim_settled(key, deadline);
    router_.agree(false);
    auto route = router_.route(key, protocol, loop_.now(), exclude, named);
    if (!route || !route->made) co_return route;

    claimed = route_to(key, *route->upstream);
    auto settled = std::make_shared<Gate>(loop_);
    claims_.emplace(key, settled);
    auto won = co_await claim(*claimed, deadline);
    claims_.erase(key);
    if (!won) router_.drop(key);
    settled->notify();
    if (!won) break;
    if (*won) co_return route;
  }
  router_.agree(true);
  auto route = router_.route(key, protocol, loop_.now(), exclude, named);
  if (route && route->made) {
    SharedRoute made = route_to(key, *route->upstream);
    // The claim may have come to Redis all the same, or may yet.
    remember_unshared(claimed.value_or(made), made);
  }
  co_return route;
}

void SharedRouting::remember_unshared(SharedRoute claimed, SharedRoute made) {
  if (unshared_.size() >= kMaxUnshared) return;
  unshared_[made.stream] = {std::move(claimed), made};
  unshared_added_.notify();
}

Task<void> SharedRouting::share_late() {
  while (true) {
    auto waited = co_await unshared_added_.wait(unshared_.empty() ? kNever : loop_.in(kLook));
    if (!waited && waited.error().code == Errc::Cancelled) co_return;
    while (state_.up() && !unshared_.empty()) {
      auto next = unshared_.extract(unshared_.begin());
      auto told = co_await propose(next.mapped().first, next.mapped().second);
      if (!told) unshared_.insert(std::move(next));
    }
  }
}

Task<void> SharedRouting::claim_settled(std::string key, Deadline deadline) {
  while (true) {
    const auto under_way = claims_.find(key);
    if (under_way == claims_.end()) co_return;
    const std::shared_ptr<Gate> settled = under_way->second;
    auto waited = co_await settled->wait(deadline);
    if (!waited) co_return;
  }
}

Task<Result<bool>> SharedRouting::claim(SharedRoute mine, Deadline deadline) {
  auto there = co_await state_.claim(mine, deadline);
  for (int tries = 0; there && tries < kMaxTries; ++tries) {
    if (*there == mine) co_return true;
    if (router_.adopt(*there, loop_.now())) co_return false;
    there = co_await state_.move(*there, mine, deadline);
  }
  if (!there) co_return std::unexpected(there.error());
  co_return fail(Errc::Busy, "the stream's route changes all the time");
}

void SharedRouting::confirmed(const std::string& key, const std::string& id) {
  const auto before = router_.remembered(key, loop_.now());
  if (!router_.confirmed(key, id, loop_.now()) || !shares_routes() || !state_.up()) return;
  const auto after = router_.remembered(key, loop_.now());
  const bool published = router_.published(key, loop_.now() - kYoung).has_value();
  if (after && (published || before != after)) loop_.spawn(insist(before.value_or(*after), *after));
}

void SharedRouting::route_told(const SharedRoute& route) {
  const auto ours = router_.published(route.stream, loop_.now() - kYoung);
  if (!ours || *ours == route)
    router_.adopt(route, loop_.now());
  else
    loop_.spawn(insist(route, *ours));
}

Task<void> SharedRouting::insist(SharedRoute from, SharedRoute to) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    auto there = co_await state_.move(from, to, loop_.in(SharedStore::kPatience));
    if (!there || *there == to) co_return;
    from = std::move(*there);
  }
}

Task<bool> SharedRouting::propose(SharedRoute from, SharedRoute to) {
  auto there = co_await state_.move(std::move(from), to, loop_.in(SharedStore::kPatience));
  if (there && *there != to) route_told(*there);
  co_return there.has_value();
}

Result<void> SharedRouting::heartbeat(const Registration& registration) {
  auto heard = router_.heartbeat(registration, loop_.now());
  if (heard) state_.announce(SharedKind::Origin, registration);
  return heard;
}

Result<void> SharedRouting::remove(const std::string& id) {
  auto removed = router_.remove(id);
  if (removed) state_.withdraw(SharedKind::Origin, id);
  return removed;
}

void SharedRouting::leave() {
  leaving_ = true;
  if (options_.self) state_.withdraw(SharedKind::Proxy, options_.self->server);
}

void SharedRouting::fall_silent() { leaving_ = true; }

Task<void> SharedRouting::tell_self() {
  // Three chances before the others take this node for dead.
  const milliseconds period = options_.state.store.member_lifetime / 3;
  while (true) {
    if (!leaving_) state_.announce(SharedKind::Proxy, *options_.self);
    auto slept = co_await sleep(loop_, period);
    if (!slept) co_return;
  }
}

void SharedRouting::member_told(SharedKind kind, const Registration& member, milliseconds age) {
  if (options_.self && kind == SharedKind::Proxy && member.server == options_.self->server) return;
  const auto heard = router_.heartbeat(member, loop_.now() - age);
  if (!heard)
    log::debug("member not taken", {{"upstream", member.server}, {"error", heard.error().text}});
}

void SharedRouting::member_gone(SharedKind, const std::string& id) {
  // Unknown, or the configuration's: then it is none of theirs to take away.
  static_cast<void>(router_.remove(id));
}

}  // namespace weir
