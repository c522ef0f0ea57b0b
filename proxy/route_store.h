// proxy/route_store.h
// Remembers which upstream a stream was given to: stream key -> upstream id and generation.
//
// An interface, for a later store shares its routes between proxies; it would follow the others'
// routes into such a memory and settle who was first elsewhere, so nothing here waits. claim() is
// the one operation where two callers may meet: the first wins, and the other is told the winner's
// route.
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

#include "common/error.h"

namespace weir {

struct StoredRoute {
  std::string upstream;
  std::uint64_t generation = 0;
  std::chrono::steady_clock::time_point last_use{};

  bool operator==(const StoredRoute&) const = default;
};

class RouteStore {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~RouteStore() = default;

  // Nothing when it is unknown or has expired.
  virtual std::optional<StoredRoute> find(const std::string& key, TimePoint now) const = 0;

  // Makes this the stream's route unless it has one, and returns the one it has then. Errc::Limit
  // when the store is full of held routes.
  virtual Result<StoredRoute> claim(const std::string& key, const std::string& upstream,
                                    std::uint64_t generation, TimePoint now) = 0;

  // Replaces whatever there is, and ends its being held. Errors as claim().
  virtual Result<void> move(const std::string& key, const std::string& upstream,
                            std::uint64_t generation, TimePoint now) = 0;

  // These ignore an unknown key.
  virtual void touch(const std::string& key, TimePoint now) = 0;
  virtual void erase(const std::string& key) = 0;

  // These ignore a key whose route does not lead to `upstream`.
  virtual void hold(const std::string& key, const std::string& upstream) = 0;
  virtual void release(const std::string& key, const std::string& upstream, TimePoint now) = 0;

  virtual std::size_t erase_upstream(const std::string& upstream) = 0;  // how many there were
  virtual void expire(TimePoint now) = 0;

  virtual std::size_t count(const std::string& upstream) const = 0;
  virtual std::size_t size() const = 0;
};

struct MemoryRouteStoreOptions {
  std::size_t max = 100'000;
  std::chrono::steady_clock::duration lifetime = std::chrono::seconds{60};
};

class MemoryRouteStore final : public RouteStore {
 public:
  explicit MemoryRouteStore(MemoryRouteStoreOptions options = {});

  std::optional<StoredRoute> find(const std::string& key, TimePoint now) const override;
  Result<StoredRoute> claim(const std::string& key, const std::string& upstream,
                            std::uint64_t generation, TimePoint now) override;
  Result<void> move(const std::string& key, const std::string& upstream, std::uint64_t generation,
                    TimePoint now) override;
  void touch(const std::string& key, TimePoint now) override;
  void erase(const std::string& key) override;
  void hold(const std::string& key, const std::string& upstream) override;
  void release(const std::string& key, const std::string& upstream, TimePoint now) override;
  std::size_t erase_upstream(const std::string& upstream) override;
  void expire(TimePoint now) override;
  std::size_t count(const std::string& upstream) const override;
  std::size_t size() const override { return routes_.size(); }

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

  MemoryRouteStoreOptions options_;
  Routes routes_;
  Idle idle_;
  std::unordered_map<std::string, std::unordered_set<std::string_view>> by_upstream_;
};

}  // namespace weir
