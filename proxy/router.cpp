#include "proxy/router.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/log.h"

namespace weir {
namespace {

bool blames_upstream(Errc reason, Stage stage) {
  if (stage == Stage::Request || stage == Stage::Media) return false;
  switch (reason) {
    case Errc::Closed:
    case Errc::Reset:
    case Errc::Denied:  // its certificate, then
    case Errc::Protocol: return stage == Stage::Connect;
    case Errc::Timeout:
    case Errc::Refused:
    case Errc::Unavailable: return true;
    case Errc::Limit:
    case Errc::NotFound:
    case Errc::Busy:
    case Errc::Loop:
    case Errc::Cancelled:
    case Errc::System: return false;
  }
  return false;
}

// What singly says nothing, for the client may have caused it.
bool may_blame_upstream(Errc reason, Stage stage) {
  if (stage == Stage::Media) return reason == Errc::Timeout;
  return stage == Stage::Setup &&
         (reason == Errc::Closed || reason == Errc::Reset || reason == Errc::Protocol);
}

Protocol first_protocol(const Upstream& upstream) {
  for (std::size_t i = 0; i < kProtocolCount; ++i)
    if (upstream.speaks(static_cast<Protocol>(i))) return static_cast<Protocol>(i);
  return Protocol::Rtmp;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Router::Router(RegistryOptions registry, Balancer balancer, RouteStoreOptions routes)
    : registry_(registry), balancer_(balancer), routes_(routes) {}

Result<void> Router::configure(Upstream upstream) {
  return registry_.configure(std::move(upstream));
}

void Router::reconfigure(Setup setup, TimePoint now) {
  const auto gone = registry_.reconfigure(setup.registry, std::move(setup.upstreams), now);
  for (const std::string& id : gone) {
    const auto dropped = routes_.erase_upstream(id);
    log::info(registry_.find(id) ? "upstream changed its endpoints" : "upstream removed",
              {{"upstream", id}, {"routes_dropped", dropped}});
  }
  balancer_ = std::move(setup.balancer);
  routes_.set_lifetime(setup.routes.lifetime);
}

Result<Route> Router::route(const std::string& key, Protocol protocol, TimePoint now,
                            std::span<const std::string> exclude,
                            const std::optional<NamedOrigin>& named) {
  const auto excluded = [&](const std::string& id) {
    return std::ranges::find(exclude, id) != exclude.end();
  };
  if (named) {
    UpstreamPtr wanted = find_named(*named, protocol, now);
    if (wanted && !excluded(wanted->id))
      return Route{.upstream = std::move(wanted), .protocol = protocol, .named = true};
    if (named->binds) return fail(Errc::NotFound, "the origin that this URI names is gone");
  }
  const auto stored = routes_.find(key, now);
  bool stays = stored && follows(key, *stored, protocol, now);
  if (stays) {
    const UpstreamPtr home = registry_.find(stored->upstream)->upstream;
    routes_.touch(key, now);
    if (!excluded(home->id)) {
      const bool held = in_session(key, home->id);
      if (home->speaks(protocol))
        return Route{.upstream = home, .protocol = protocol, .held = held};
      if (held) {
        return fail(Errc::Unavailable, fmt::format("the stream is at {}, which has no {} endpoint",
                                                   home->id, name(protocol)));
      }
      stays = false;
    }
  }

  const auto purpose = stays ? Registry::Purpose::Search : Registry::Purpose::Place;
  auto pool = registry_.candidates(protocol, now, exclude, purpose);
  if (auto back = drained_home(key, protocol, now); back && !excluded(back->id)) pool = {back};
  if (pool.empty()) {
    if (!exclude.empty()) {
      return fail(Errc::Unavailable, fmt::format("no {} upstream is left after {} tries",
                                                 name(protocol), exclude.size()));
    }
    return fail(Errc::Unavailable, fmt::format("no live upstream has a {} endpoint ({} known)",
                                               name(protocol), registry_.entries().size()));
  }
  const UpstreamPtr chosen = choose(key, pool, now);
  if (stays) return Route{chosen, protocol, false};
  const auto moved = lead(key, *chosen, now);
  if (!moved) return fail(Errc::Unavailable, moved.error().text);
  return Route{
      .upstream = chosen, .protocol = protocol, .made = true, .held = in_session(key, chosen->id)};
}

// The stream's route leads to `upstream` from now on.
Result<void> Router::lead(const std::string& key, const Upstream& upstream, TimePoint now) {
  auto moved = routes_.set(key, upstream.id, upstream.generation(), now);
  if (moved && in_session(key, upstream.id)) routes_.hold(key, upstream.id);
  return moved;
}

UpstreamPtr Router::find_named(const NamedOrigin& named, Protocol protocol, TimePoint now) const {
  const Registry::Entry* entry = registry_.find_named(named.token);
  if (!entry || !registry_.alive(*entry, now) || !entry->upstream->speaks(protocol)) return nullptr;
  if (!named.binds && Registry::ejected(*entry, now)) return nullptr;
  return entry->upstream;
}

// Whether a remembered route is still the one to take.
bool Router::follows(const std::string& key, const StoredRoute& stored, Protocol protocol,
                     TimePoint now) const {
  const Registry::Entry* entry = registry_.find(stored.upstream);
  if (!entry || !registry_.alive(*entry, now)) return false;
  if (entry->upstream->generation() != stored.generation) return false;
  if (!Registry::ejected(*entry, now) || entry->health.keeps_streams()) return true;
  if (in_session(key, stored.upstream)) return true;
  // It was made when nobody was in use. That holds until somebody is.
  const auto pool = registry_.candidates(protocol, now);
  return pool.empty() || Registry::ejected(*registry_.find(pool.front()->id), now);
}

// Where sessions of the stream run though it is drained: it goes on there.
UpstreamPtr Router::drained_home(const std::string& key, Protocol protocol, TimePoint now) const {
  const auto live = sessions_.find(key);
  if (live == sessions_.end()) return nullptr;
  for (const auto& [id, count] : live->second) {
    const Registry::Entry* entry = registry_.drained(id) ? registry_.find(id) : nullptr;
    if (entry && registry_.alive(*entry, now) && !Registry::ejected(*entry, now) &&
        entry->upstream->speaks(protocol))
      return entry->upstream;
  }
  return nullptr;
}

UpstreamPtr Router::choose(const std::string& key, const std::vector<UpstreamPtr>& pool,
                           TimePoint now) {
  if (const auto live = sessions_.find(key); live != sessions_.end()) {
    for (const UpstreamPtr& upstream : pool) {
      if (live->second.contains(upstream->id)) return upstream;
    }
  }
  std::vector<Balancer::Candidate> candidates;
  candidates.reserve(pool.size());
  for (const UpstreamPtr& upstream : pool) {
    const auto running = streams_.find(upstream->id);
    const Registry::Entry& entry = *registry_.find(upstream->id);
    candidates.push_back({.upstream = upstream,
                          .streams = std::max(routes_.count(upstream->id),
                                              running == streams_.end() ? 0 : running->second),
                          .warmth = entry.health.warmth(registry_.health(), now),
                          .load = entry.load});
  }
  return pool[(agree_ ? agreed_ : balancer_).pick(key, candidates)];
}

Result<void> Router::confirmed(const std::string& key, const std::string& id, TimePoint now) {
  const Registry::Entry* entry = registry_.find(id);
  if (!entry || !registry_.alive(*entry, now))
    return fail(Errc::NotFound, fmt::format("upstream {} is gone", id));
  registry_.health_of(id)->served();
  const auto stored = routes_.find(key, now);
  if (stored && stored->upstream == id && stored->generation == entry->upstream->generation()) {
    routes_.touch(key, now);
    return {};
  }
  return move(key, *entry->upstream, now);
}

Result<void> Router::move(const std::string& key, const Upstream& upstream, TimePoint now) {
  auto moved = lead(key, upstream, now);
  const auto sessions = sessions_.find(key);
  if (!moved || sessions == sessions_.end() || !on_moved_) return moved;
  const bool elsewhere = std::ranges::any_of(
      sessions->second, [&](const auto& each) { return each.first != upstream.id; });
  if (elsewhere) on_moved_(key, upstream.id);
  return moved;
}

Router::Effect Router::failed(const std::string& key, const std::string& id, Errc reason,
                              TimePoint now, Stage stage) {
  UpstreamHealth* health = registry_.health_of(id);
  if (!health) return Effect::None;
  if (may_blame_upstream(reason, stage)) {
    if (!health->hung_up(registry_.health(), now)) return Effect::None;
    tell_ejected(id, *health, stage == Stage::Media ? "no media" : "hangs up", key, 0);
    return Effect::Ejected;
  }
  if (!blames_upstream(reason, stage)) return Effect::None;
  const bool ejected = health->failed(registry_.health(), now);
  const auto dropped = routes_.erase_upstream(id);
  if (!ejected) return Effect::None;
  tell_ejected(id, *health, name(reason), key, dropped);
  return others_than(id, now) ? Effect::Moved : Effect::Ejected;
}

Router::Effect Router::probed(const std::string& id, Probed result, std::string_view why,
                              TimePoint now) {
  UpstreamHealth* health = registry_.health_of(id);
  if (!health) return Effect::None;
  const bool was_out = health->ejected(now);
  if (health->probed(registry_.health(), result, now)) {
    tell_ejected(id, *health, why, "", routes_.erase_upstream(id));
    return others_than(id, now) ? Effect::Moved : Effect::Ejected;
  }
  if (was_out && !health->ejected(now)) log::info("upstream is back", {{"upstream", id}});
  return Effect::None;
}

void Router::tell_ejected(const std::string& id, const UpstreamHealth& health,
                          std::string_view reason, const std::string& key, std::size_t dropped) {
  log::warn("upstream ejected", {{"upstream", id},
                                 {"seconds", seconds(health.ejected_for())},
                                 {"reason", reason},
                                 {"stream", key},
                                 {"routes_dropped", dropped}});
}

// Whether the streams of `id` have somewhere else to go.
bool Router::others_than(const std::string& id, TimePoint now) const {
  const auto protocol = first_protocol(*registry_.find(id)->upstream);
  return std::ranges::any_of(registry_.candidates(protocol, now), [&](const UpstreamPtr& each) {
    return each->id != id && !Registry::ejected(*registry_.find(each->id), now);
  });
}

void Router::succeeded(const std::string& id, TimePoint now) {
  if (UpstreamHealth* health = registry_.health_of(id)) health->succeeded(now);
}

void Router::served(const std::string& id) {
  if (UpstreamHealth* health = registry_.health_of(id)) health->served();
}

void Router::opened(const std::string& key, const std::string& id, TimePoint now, Purpose purpose) {
  Presence& presence = sessions_[key][id];
  if (purpose == Purpose::Publish) {
    ++presence.publishers;
    presence.published = now;
  }
  if (++presence.sessions != 1) return;
  ++streams_[id];
  routes_.hold(key, id);
}

void Router::closed(const std::string& key, const std::string& id, TimePoint now, Purpose purpose) {
  const auto of_key = sessions_.find(key);
  INVARIANT(of_key != sessions_.end(), key);
  const auto at = of_key->second.find(id);
  INVARIANT(at != of_key->second.end(), key, id);
  if (purpose == Purpose::Publish) --at->second.publishers;
  if (--at->second.sessions != 0) return;
  of_key->second.erase(at);
  if (of_key->second.empty()) sessions_.erase(of_key);
  if (const auto running = streams_.find(id); --running->second == 0) streams_.erase(running);
  routes_.release(key, id, now);
}

bool Router::in_session(const std::string& key, const std::string& id) const {
  const auto found = sessions_.find(key);
  return found != sessions_.end() && found->second.contains(id);
}

Result<void> Router::heartbeat(const Registration& registration, TimePoint heard) {
  const auto news = registry_.heartbeat(registration, heard);
  if (!news) return std::unexpected(news.error());
  const std::string& id = registration.server;
  switch (*news) {
    case Registry::Heard::Added:
    case Registry::Heard::Restarted: {
      const auto dropped = routes_.erase_upstream(id);
      log::info(*news == Registry::Heard::Added ? "upstream joined" : "upstream restarted",
                {{"upstream", id},
                 {"host", registration.host},
                 {"service", registration.service},
                 {"pid", registration.pid},
                 {"routes_dropped", dropped}});
      break;
    }
    case Registry::Heard::Changed:
      log::info("upstream changed its endpoints", {{"upstream", id}, {"host", registration.host}});
      break;
    case Registry::Heard::Refreshed: break;
  }
  return {};
}

Result<void> Router::drain(const std::string& id, bool drained) {
  auto done = registry_.drain(id, drained);
  if (done) log::info(drained ? "upstream drained" : "upstream undrained", {{"upstream", id}});
  return done;
}

Result<void> Router::remove(const std::string& id) {
  auto done = registry_.remove(id);
  if (!done) return done;
  const auto dropped = routes_.erase_upstream(id);
  log::info("upstream removed", {{"upstream", id}, {"routes_dropped", dropped}});
  return done;
}

bool Router::adopt(const SharedRoute& route, TimePoint now) {
  const StoredRoute theirs{route.upstream, route.generation, now};
  const Registry::Entry* entry = registry_.find(route.upstream);
  if (!entry || !follows(route.stream, theirs, first_protocol(*entry->upstream), now)) return false;
  const auto ours = routes_.find(route.stream, now);
  if (ours && ours->upstream == route.upstream && ours->generation == route.generation) {
    routes_.touch(route.stream, now);
    return true;
  }
  return move(route.stream, *entry->upstream, now).has_value();
}

void Router::drop(const std::string& key) {
  if (!sessions_.contains(key)) routes_.erase(key);
}

std::optional<SharedRoute> Router::remembered(const std::string& key, TimePoint now) const {
  const auto stored = routes_.find(key, now);
  if (!stored) return std::nullopt;
  return SharedRoute{key, stored->upstream, stored->generation};
}

std::vector<SharedRoute> Router::held() const {
  std::vector<SharedRoute> held;
  held.reserve(sessions_.size());
  for (const auto& [key, sessions] : sessions_) {
    // However long ago it was used: what is held does not expire.
    const auto stored = routes_.find(key, TimePoint::max());
    if (stored && sessions.contains(stored->upstream))
      held.push_back({key, stored->upstream, stored->generation});
  }
  return held;
}

std::optional<SharedRoute> Router::published(const std::string& key, TimePoint since) const {
  const auto sessions = sessions_.find(key);
  if (sessions == sessions_.end()) return std::nullopt;
  for (const auto& [id, presence] : sessions->second) {
    const Registry::Entry* entry = registry_.find(id);
    if (presence.publishers > 0 && presence.published >= since && entry)
      return SharedRoute{key, id, entry->upstream->generation()};
  }
  return std::nullopt;
}

Result<void> Router::restore_origin(const Registration& registration, TimePoint heard,
                                    TimePoint now) {
  auto restored = registry_.heartbeat(registration, heard);
  if (!restored) return std::unexpected(restored.error());
  if (!registry_.alive(*registry_.find(registration.server), now)) registry_.expire(now);
  return {};
}

void Router::tick(TimePoint now) {
  for (const std::string& id : registry_.expire(now)) {
    const auto dropped = routes_.erase_upstream(id);
    log::warn("upstream went silent", {{"upstream", id}, {"routes_dropped", dropped}});
  }
  routes_.expire(now);
}

std::optional<Router::Known> Router::known(const std::string& key, TimePoint now) const {
  const auto stored = routes_.find(key, now);
  if (!stored) return std::nullopt;
  const auto live = sessions_.find(key);
  return Known{stored->upstream, live == sessions_.end() ? Sessions{} : live->second};
}

std::vector<UpstreamState> Router::snapshot(TimePoint now) const {
  std::vector<UpstreamState> states;
  states.reserve(registry_.entries().size());
  for (const auto& [id, entry] : registry_.entries()) {
    UpstreamState state{.upstream = entry.upstream,
                        .alive = registry_.alive(entry, now),
                        .drained = registry_.drained(id),
                        .ejected_for = {},
                        .probes = entry.health.probes(),
                        .routes = routes_.count(id),
                        .failures = entry.health.failures(),
                        .ejections = entry.health.ejections()};
    if (Registry::ejected(entry, now)) {
      state.ejected_for = std::chrono::ceil<std::chrono::milliseconds>(
          std::max(entry.health.until() - now, Duration{}));
    }
    if (const auto running = streams_.find(id); running != streams_.end())
      state.streams = running->second;
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace weir
