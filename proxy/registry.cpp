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

Result<Registry::Heard> Registry::heartbeat(const Registration& registration, TimePoint now) {
  auto found = entries_.find(registration.server);
  if (found != entries_.end() && found->second.upstream->knowledge == Knowledge::Configured)
    return fail(Errc::Denied, "field server: the configuration has an upstream of that name");
  if (found == entries_.end() && entries_.size() >= options_.max) {
    expire(now);
    if (entries_.size() >= options_.max)
      return fail(Errc::Limit, fmt::format("{} upstreams are known already", options_.max));
  }

  if (found == entries_.end() || !alive(found->second, now)) {
    ids_.emplace(origin_token(registration.server), registration.server);
    entries_[registration.server] = {
        .upstream = std::make_shared<const Upstream>(registration.upstream()), .heard = now};
    return Heard::Added;
  }
  Entry& entry = found->second;
  entry.heard = now;
  const Upstream& old = *entry.upstream;
  if (old.service != registration.service) {
    entry = {.upstream = std::make_shared<const Upstream>(registration.upstream()),
             .heard = now,
             .failures = entry.failures,
             .ejections = entry.ejections};
    return Heard::Restarted;
  }
  if (old.endpoints == registration.endpoints && old.host == registration.host &&
      old.pid == registration.pid && old.device_id == registration.device_id)
    return Heard::Refreshed;
  entry.upstream = std::make_shared<const Upstream>(registration.upstream());
  return Heard::Changed;
}

void Registry::failed(const std::string& id, TimePoint now) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  ++entry.failures;
  if (ejected(entry, now)) return;
  ++entry.ejections;
  // Past the cap a higher count changes nothing, and would overflow the product.
  entry.ejected_for = options_.backoff_cap;
  if (options_.backoff * entry.incidents < options_.backoff_cap) {
    ++entry.incidents;
    entry.ejected_for = std::min(options_.backoff * entry.incidents, options_.backoff_cap);
  }
  entry.ejected_until = now + entry.ejected_for;
}

void Registry::succeeded(const std::string& id, TimePoint now) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (!entry.ejected_until) return;
  if (ejected(entry, now)) {
    entry.ejected_until = now;
  } else if (now - *entry.ejected_until >= entry.ejected_for) {
    entry.incidents = 0;
    entry.ejected_until.reset();
  }
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
    if (*entry.ejected_until < soonest_end) {
      soonest_end = *entry.ejected_until;
      soonest.clear();
    }
    if (*entry.ejected_until == soonest_end) soonest.push_back(entry.upstream);
  }
  if (!in_use.empty()) return in_use;
  return draining.empty() ? soonest : draining;
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

bool Registry::ejected(const Entry& entry, TimePoint now) {
  return entry.ejected_until && now < *entry.ejected_until;
}

}  // namespace weir
