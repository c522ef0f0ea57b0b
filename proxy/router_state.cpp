#include "proxy/router_state.h"

#include <algorithm>

namespace weir {
namespace {

// A wall clock that was set back makes nobody younger than now.
Duration age_of(WallTime then, WallTime now) { return std::max<Duration>(now - then, Duration{}); }

}  // namespace

void RouterState::restore(const SavedState& state, TimePoint now, WallTime wall) {
  for (const auto& [registration, heard] : state.origins) {
    // Also when it is too old to be alive: the next look at what has changed takes it out.
    origins_[registration.server] = {};
    // Who may not come back, because of a bound or of a name that the configuration took, does not.
    static_cast<void>(router_.restore_origin(registration, now - age_of(heard, wall), now));
  }
  for (const std::string& id : state.drained) {
    drained_.insert(id);
    router_.restore_drained(id);
  }
  router_.watch_routes(true);
  const bool in_time = age_of(state.written, wall) < lifetime_;
  for (const SharedRoute& route : state.routes)
    if (!in_time || !router_.adopt(route, now)) router_.route_changed(route.stream);
}

std::vector<SavedChange> RouterState::changes(TimePoint now, WallTime wall) {
  std::vector<SavedChange> changes;
  changed_origins(changes, now, wall);
  changed_routes(changes, now, wall);
  changed_marks(changes, wall);
  return changes;
}

void RouterState::changed_origins(std::vector<SavedChange>& changes, TimePoint now, WallTime wall) {
  for (const auto& [id, entry] : router_.registry().entries()) {
    if (entry.upstream->knowledge != Knowledge::Registered) continue;
    const auto [saved, fresh] = origins_.try_emplace(id, TimePoint{});
    if (!fresh && saved->second == entry.heard) continue;
    saved->second = entry.heard;
    const auto age = std::chrono::floor<std::chrono::milliseconds>(now - entry.heard);
    changes.push_back(
        {SavedKind::Origin, id, encode(registration_of(*entry.upstream)), wall - age});
  }
  std::erase_if(origins_, [&](const auto& item) {
    const Registry::Entry* entry = router_.registry().find(item.first);
    if (entry && entry->upstream->knowledge == Knowledge::Registered) return false;
    changes.push_back({SavedKind::Origin, item.first, std::nullopt, wall});
    return true;
  });
}

void RouterState::changed_routes(std::vector<SavedChange>& changes, TimePoint now, WallTime wall) {
  for (const std::string& key : router_.take_changed_routes()) {
    const auto route = router_.remembered(key, now);
    auto value = route ? std::optional(encode(*route)) : std::nullopt;
    changes.push_back({SavedKind::Route, key, std::move(value), wall});
  }
}

void RouterState::changed_marks(std::vector<SavedChange>& changes, WallTime wall) {
  const auto& now_drained = router_.registry().drained_ids();
  for (const std::string& id : now_drained)
    if (!drained_.contains(id))
      changes.push_back({SavedKind::Drained, id, encode(SharedNote{id, ""}), wall});
  for (const std::string& id : drained_)
    if (!now_drained.contains(id)) changes.push_back({SavedKind::Drained, id, std::nullopt, wall});
  drained_ = now_drained;
}

}  // namespace weir
