// proxy/registry.h
// Which upstreams there are, and which of them may be asked now.
//
//   configure ──► known ◄── heartbeat        registered and silent for `lifetime`: forgotten
//
// Who is known may be out of use for a while: upstream_health.h.
//
// Nobody is worse than somebody: when all that could serve are ejected, candidates() gives those
// whose ejection ends first, and those that probes find down only when there is no other.
//
// A heartbeat with another service id is a restart: the new life starts in use and without a
// record.
//
// Draining. A drained upstream is nobody's candidate for a new stream, not even when there is no
// other; the streams it has go on. The mark belongs to the id, so it outlives a restart, silence
// and remove() of the server, until the operator takes it back.
//
// Threading: one loop owns it. Time is what the caller says; it may not run back.
// Bounds: `max` entries, configured ones included, and as many drained ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/error.h"
#include "proxy/registration.h"
#include "proxy/upstream.h"
#include "proxy/upstream_health.h"

namespace weir {

struct RegistryOptions {
  Duration lifetime = std::chrono::seconds{30};  // SRS sends a heartbeat every 10 s
  HealthOptions health{};
  std::size_t max = 1000;
};

class Registry {
 public:
  struct Entry {
    UpstreamPtr upstream;
    TimePoint heard{};  // the last heartbeat; meaningless when configured
    UpstreamHealth health{};
    std::optional<double> load{};  // what it said of itself: Registration::load
  };

  enum class Heard { Added, Refreshed, Changed, Restarted };

  explicit Registry(RegistryOptions options = {});

  // Adds one that stands in the configuration. Errc::Limit past `max`, Errc::Busy when the id is
  // taken.
  Result<void> configure(Upstream upstream);

  // The configuration's upstreams are these from here on, and others of its are gone; who has
  // registered under such a name gives way. One that stays keeps its health; one whose host or
  // endpoints differ begins anew. Says who has gone or begun anew. REQUIRES: no two have one id.
  std::vector<std::string> reconfigure(RegistryOptions options, std::vector<Upstream> configured,
                                       TimePoint now);

  // `heard` may lie in the past; what is older than what is known changes nothing. Errc::Denied when
  // the configuration owns the name, Errc::Limit when `max` others are known.
  Result<Heard> heartbeat(const Registration& registration, TimePoint heard);

  // To report to; null when the id is not known (any more).
  UpstreamHealth* health_of(const std::string& id);
  const HealthOptions& health() const { return options_.health; }

  // Errc::NotFound when the id is not known (who is not can only be undrained), Errc::Limit past
  // `max` drained ids.
  Result<void> drain(const std::string& id, bool drained);
  bool drained(const std::string& id) const { return drained_.contains(id); }
  const std::set<std::string>& drained_ids() const { return drained_; }
  // Also of one that is not known yet. Ignored past `max`.
  void restore_drained(const std::string& id) {
    if (drained_.size() < options_.max) drained_.insert(id);
  }

  // Forgets a registered one at once; its next heartbeat, if there is one, brings it back.
  // Errc::NotFound, or Errc::Denied when it stands in the configuration.
  Result<void> remove(const std::string& id);

  // Forgets who was silent for `lifetime`, and says who that was.
  std::vector<std::string> expire(TimePoint now);

  // For a stream that is new, or for one that is looked for wherever it may be: then the drained
  // ones follow when no other is in use.
  enum class Purpose : std::uint8_t { Place, Search };

  // The live ones that speak `protocol`, in use, and not in `exclude`; in order of id. See above
  // for when nobody is in use. A heartbeat that is too old counts at once, not only after expire().
  std::vector<UpstreamPtr> candidates(Protocol protocol, TimePoint now,
                                      std::span<const std::string> exclude = {},
                                      Purpose purpose = Purpose::Place) const;

  const Entry* find(const std::string& id) const;
  // By its origin_token().
  const Entry* find_named(const std::string& token) const;
  bool alive(const Entry& entry, TimePoint now) const;
  static bool ejected(const Entry& entry, TimePoint now);

  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  RegistryOptions options_;
  std::map<std::string, Entry> entries_;
  std::unordered_map<std::string, std::string> ids_;  // by token
  std::set<std::string> drained_;
};

}  // namespace weir
