#include "proxy/registry.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "proxy/origin_token.h"

namespace weir {

Registry::Registry(RegistryOptions options) : options_(options) {}

Result<void> Registry::configure(Upstream upstream) {
  if (entries_.contains(upstream.id))
    return fail(Errc::Busy, fmt::format("two upstreams are named {}", upstream.id));
  if (entries_.size() >= options_.max)
    return fail(Errc::Limit, fmt::format("more than {} upstreams", options_.max));
  upstream.knowledge = Knowledge::Configured;
  std::string id = upstream.id;
  ids_.emplace(origin_token(id), id);
  entries_.emplace(std::move(id),
                   Entry{.upstream = std::make_shared<const Upstream>(std::move(upstream))});
  return {};
}

std::vector<std::string> Registry::reconfigure(RegistryOptions options,
                                               std::vector<Upstream> configured, TimePoint now) {
  options_ = options;
  std::vector<std::string> gone;
  std::erase_if(entries_, [&](const auto& item) {
    const bool stays = item.second.upstream->knowledge != Knowledge::Configured ||
                       std::ranges::find(configured, item.first, &Upstream::id) != configured.end();
    if (stays) return false;
    gone.push_back(item.first);
    ids_.erase(origin_token(item.first));
    return true;
  });
  for (Upstream& upstream : configured) {
    upstream.knowledge = Knowledge::Configured;
    ids_.emplace(origin_token(upstream.id), upstream.id);
    const auto [at, fresh] = entries_.try_emplace(upstream.id);
    Entry& entry = at->second;
    if (fresh) {
      entry.health.joined(now);
    } else if (const Upstream& old = *entry.upstream; old.host != upstream.host ||
                                                      old.endpoints != upstream.endpoints ||
                                                      old.knowledge != Knowledge::Configured) {
      entry = {.upstream = nullptr, .health = entry.health};
      entry.health.restarted(now);
      gone.push_back(upstream.id);
    }
    entry.upstream = std::make_shared<const Upstream>(std::move(upstream));
  }
  return gone;
}

Result<Registry::Heard> Registry::heartbeat(const Registration& registration, TimePoint heard) {
  auto found = entries_.find(registration.server);
  if (found != entries_.end() && found->second.upstream->knowledge == Knowledge::Configured)
    return fail(Errc::Denied, "field server: the configuration has an upstream of that name");
  if (found == entries_.end() && entries_.size() >= options_.max) {
    expire(heard);
    if (entries_.size() >= options_.max)
      return fail(Errc::Limit, fmt::format("{} upstreams are known already", options_.max));
  }

  if (found == entries_.end() || !alive(found->second, heard)) {
    ids_.emplace(origin_token(registration.server), registration.server);
    Entry& entry = entries_[registration.server];
    entry = {.upstream = std::make_shared<const Upstream>(registration.upstream()),
             .heard = heard,
             .load = registration.load};
    entry.health.joined(heard);
    return Heard::Added;
  }
  Entry& entry = found->second;
  entry.heard = std::max(entry.heard, heard);
  entry.load = registration.load;
  const Upstream& old = *entry.upstream;
  if (old.service != registration.service) {
    entry.upstream = std::make_shared<const Upstream>(registration.upstream());
    entry.health.restarted(heard);
    return Heard::Restarted;
  }
  if (old.endpoints == registration.endpoints && old.host == registration.host &&
      old.zone == registration.zone && old.pid == registration.pid &&
      old.device_id == registration.device_id)
    return Heard::Refreshed;
  entry.upstream = std::make_shared<const Upstream>(registration.upstream());
  return Heard::Changed;
}

UpstreamHealth* Registry::health_of(const std::string& id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.health;
}

Result<void> Registry::drain(const std::string& id, bool drained) {
  if (!drained) {
    if (drained_.erase(id) == 0 && !entries_.contains(id))
      return fail(Errc::NotFound, "no upstream of that name");
    return {};
  }
  if (!entries_.contains(id)) return fail(Errc::NotFound, "no upstream of that name");
  if (drained_.size() >= options_.max && !drained_.contains(id))
    return fail(Errc::Limit, fmt::format("{} upstreams are drained already", options_.max));
  drained_.insert(id);
  return {};
}

Result<void> Registry::remove(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return fail(Errc::NotFound, "no upstream of that name");
  if (found->second.upstream->knowledge == Knowledge::Configured)
    return fail(Errc::Denied, "it stands in the configuration: it can only be drained");
  ids_.erase(origin_token(id));
  entries_.erase(found);
  return {};
}

std::vector<std::string> Registry::expire(TimePoint now) {
  std::vector<std::string> gone;
  std::erase_if(entries_, [&](const auto& item) {
    if (alive(item.second, now)) return false;
    gone.push_back(item.first);
    ids_.erase(origin_token(item.first));
    return true;
  });
  return gone;
}

std::vector<UpstreamPtr> Registry::candidates(Protocol protocol, TimePoint now,
                                              std::span<const std::string> exclude,
                                              Purpose purpose) const {
  std::vector<UpstreamPtr> in_use;
  std::vector<UpstreamPtr> draining;
  std::vector<UpstreamPtr> soonest;
  std::vector<UpstreamPtr> down;
  TimePoint soonest_end = TimePoint::max();
  for (const auto& [id, entry] : entries_) {
    if (!entry.upstream->speaks(protocol) || !alive(entry, now)) continue;
    if (std::ranges::find(exclude, id) != exclude.end()) continue;
    const bool leaving = drained(id);
    if (leaving && purpose == Purpose::Place) continue;
    if (!ejected(entry, now)) {
      (leaving ? draining : in_use).push_back(entry.upstream);
      continue;
    }
    if (entry.health.probes() == Probes::Down) {
      down.push_back(entry.upstream);
      continue;
    }
    const TimePoint end = entry.health.until();
    if (end < soonest_end) {
      soonest_end = end;
      soonest.clear();
    }
    if (end == soonest_end) soonest.push_back(entry.upstream);
  }
  if (!in_use.empty()) return in_use;
  if (!draining.empty()) return draining;
  return soonest.empty() ? down : soonest;
}

const Registry::Entry* Registry::find(const std::string& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

const Registry::Entry* Registry::find_named(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? nullptr : find(found->second);
}

bool Registry::alive(const Entry& entry, TimePoint now) const {
  return entry.upstream->knowledge == Knowledge::Configured ||
         now - entry.heard < options_.lifetime;
}

bool Registry::ejected(const Entry& entry, TimePoint now) { return entry.health.ejected(now); }

}  // namespace weir
