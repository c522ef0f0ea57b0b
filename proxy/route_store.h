// proxy/route_store.h
// Remembers which upstream a stream was given to: stream key -> upstream id and generation.
//
// A route in use by a live session is held: it neither expires nor makes room for others. All
// others expire when unused for `lifetime`, and the longest unused goes first when the store is
// full.
//
// Threading: one loop owns it. Time is what the caller says; it may not run back.
// Bounds: `max` routes; keys are as long as the caller lets them be.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/error.h"

namespace weir {

struct StoredRoute {
  std::string upstream;
  std::uint64_t generation = 0;
  std::chrono::steady_clock::time_point last_use{};

  bool operator==(const StoredRoute&) const = default;
};

struct RouteStoreOptions {
  std::size_t max = 100'000;
  std::chrono::steady_clock::duration lifetime = std::chrono::seconds{60};
};

class RouteStore {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit RouteStore(RouteStoreOptions options = {});

  // How long an unused route lasts from here on.
  void set_lifetime(std::chrono::steady_clock::duration lifetime) { options_.lifetime = lifetime; }

  // Nothing when it is unknown or has expired.
  std::optional<StoredRoute> find(const std::string& key, TimePoint now) const;

  // Makes this the stream's route, whatever it was, and ends its being held. Errc::Limit when the
  // store is full of held routes.
  Result<void> set(const std::string& key, const std::string& upstream, std::uint64_t generation,
                   TimePoint now);

  // These ignore an unknown key.
  void touch(const std::string& key, TimePoint now);
  void erase(const std::string& key);

  // These ignore a key whose route does not lead to `upstream`.
  void hold(const std::string& key, const std::string& upstream);
  void release(const std::string& key, const std::string& upstream, TimePoint now);

  std::size_t erase_upstream(const std::string& upstream);  // how many there were
  void expire(TimePoint now);

  // While it is on it is noted which keys' routes are made, changed and forgotten.
  void watch(bool on) {
    watched_ = on;
    if (!on) changed_.clear();
  }
  void changed(const std::string& key) {
    if (watched_) changed_.insert(key);
  }
  // Since the last time.
  std::vector<std::string> take_changed() {
    std::vector<std::string> keys(changed_.begin(), changed_.end());
    changed_.clear();
    return keys;
  }

  std::size_t count(const std::string& upstream) const;
  std::vector<std::string> keys() const;
  std::size_t size() const { return routes_.size(); }

 private:
  // Keys of the routes that nobody holds, longest unused first. They view into routes_, whose nodes
  // never move.
  using Idle = std::list<std::string_view>;
  struct Node {
    StoredRoute route;
    std::optional<Idle::iterator> idle;  // none: held
  };
  using Routes = std::unordered_map<std::string, Node>;

  bool expired(const Node& node, TimePoint now) const;
  void erase(Routes::iterator at);

  RouteStoreOptions options_;
  Routes routes_;
  Idle idle_;
  bool watched_ = false;
  std::unordered_set<std::string> changed_;
  std::unordered_map<std::string, std::unordered_set<std::string_view>> by_upstream_;
};

}  // namespace weir
