#include "proxy/shared_routing.h"

#include "common/log.h"

namespace weir {
namespace {

constexpr int kMaxTries = 3;

}  // namespace

SharedRouting::SharedRouting(Loop& loop, Router& router, SharedRoutingOptions options,
                             Metrics& metrics)
    : loop_(loop),
      router_(router),
      options_(std::move(options)),
      resolver_(loop),
      state_(resolver_, options_.state, *this, metrics) {}

Task<void> SharedRouting::run() {
  Child self(loop_);
  if (options_.self) self.start(tell_self());
  co_await state_.run();
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
  for (int tries = 0; tries < kMaxTries; ++tries) {
    co_await claim_settled(key, deadline);
    router_.agree(!state_.up());
    auto route = router_.route(key, protocol, loop_.now(), exclude, named);
    if (!route || !route->made || !state_.up()) co_return route;

    SharedRoute mine{key, route->upstream->id, route->upstream->generation()};
    auto settled = std::make_shared<Gate>(loop_);
    claims_.emplace(key, settled);
    auto won = co_await claim(std::move(mine), deadline);
    claims_.erase(key);
    if (!won) router_.drop(key);
    settled->notify();
    if (!won) break;
    if (*won) co_return route;
  }
  router_.agree(true);
  co_return router_.route(key, protocol, loop_.now(), exclude, named);
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
  if (after && before != after) loop_.spawn(tell_moved(before.value_or(*after), *after));
}

Task<void> SharedRouting::tell_moved(SharedRoute from, SharedRoute to) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    auto there = co_await state_.move(from, to, loop_.in(SharedStore::kPatience));
    if (!there || *there == to) co_return;
    from = std::move(*there);
  }
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
