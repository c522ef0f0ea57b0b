// proxy/shared_state.h
// One node's part in the view that all nodes share: it knows what the others did, tells them what
// happens here, and keeps alive what is in use.
//
//                claim, move, announce...                     hints (pub/sub), SCAN
//   Routing ───────────────────────────► Redis ───────────────────────────────► SharedView
//      ▲                                   ▲                                        │ route_told,
//      └────────── live_routes ────────────┘ refresh, every 2 s                     ▼ member_told...
//                                                                           the same Routing
//
// Redis away: claims fail at once, and the node goes on with what it knows; since every node follows
// all routes and members, they all know the same. Members that it heard of do not grow old
// meanwhile: who cannot be heard is not dead for that. When Redis is back, also empty, the next
// refresh writes the routes of live sessions and the members heard here again.
//
// Threading: all of it on one loop, the Routing's; the SharedView is called there. Tasks are awaited
// there too (CallTask in common/io/wait.h brings them to other loops).
// Bounds: kMaxMembers members, kMaxHints names waiting to be read (past them everything is read
// again); routes are bounded by who follows them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/io/child.h"
#include "common/redis/client.h"
#include "common/redis/subscriber.h"
#include "proxy/shared_store.h"

namespace weir {

// What SharedState needs to know and has to say.
class SharedView {
 public:
  // The routes that live sessions of this node hold.
  virtual std::vector<SharedRoute> live_routes() = 0;

  // A route as Redis has it: made, moved, or just still there. It may be one this node made.
  virtual void route_told(const SharedRoute& route) = 0;
  virtual void route_gone(const std::string& stream) = 0;

  // A member whose last heartbeat, to whichever node, was `age` ago.
  virtual void member_told(SharedKind kind, const Registration& member, milliseconds age) = 0;
  // Withdrawn. Silent ones are for the receiver to forget, by their age.
  virtual void member_gone(SharedKind kind, const std::string& id) = 0;

 protected:
  ~SharedView() = default;
};

struct SharedStateOptions {
  redis::ServerOptions server;
  SharedStoreOptions store;
  std::set<SharedKind> follow{SharedKind::Route, SharedKind::Origin};
  milliseconds refresh{2000};
  milliseconds rescan{5000};    // after the end of a scan
  milliseconds scan_pause{50};  // between two pages, unless something was missed
};

class SharedState {
 public:
  static constexpr std::size_t kMaxMembers = 1000;
  static constexpr std::size_t kMaxHints = 10'000;

  // REQUIRES: `view` outlives run().
  SharedState(Resolver& resolver, SharedStateOptions options, SharedView& view, Metrics& metrics);

  // Follows and refreshes until the loop gives up its waits. Spawn it once; it ends before this does.
  Task<void> run();

  // Whether Redis answers. When not, route without it: operations fail at once.
  bool up() const { return client_.up(); }

  // As SharedStore's.
  Task<Result<SharedRoute>> claim(SharedRoute mine, Deadline deadline) {
    return store_.claim(std::move(mine), deadline);
  }
  Task<Result<SharedRoute>> move(SharedRoute from, SharedRoute to, Deadline deadline) {
    return store_.move(std::move(from), std::move(to), deadline);
  }
  Deadline patience() const { return store_.patience(); }
  Task<Result<void>> forget(SharedRoute route) { return store_.forget(std::move(route)); }
  Task<Result<void>> put(std::string name, std::string value, milliseconds lifetime) {
    return store_.put(std::move(name), std::move(value), lifetime);
  }
  Task<Result<std::optional<std::string>>> get(std::string name) {
    return store_.get(std::move(name));
  }
  Task<Result<void>> remove(std::string name) { return store_.remove(std::move(name)); }

  // A heartbeat came to this node; a member leaves. Nobody waits for Redis.
  void announce(SharedKind kind, const Registration& member);
  void withdraw(SharedKind kind, const std::string& id);

 private:
  using Name = std::pair<SharedKind, std::string>;
  struct Known {
    Registration registration;
    Clock::time_point heard;       // by any node
    Clock::time_point heard_here;  // long ago: never
  };

  Task<void> follow_scan();
  Task<void> follow_hints();
  Task<void> keep_up();

  Task<bool> scan(bool hurry);
  Task<void> refresh_routes();
  Task<void> refresh_members();
  Task<void> write_member(SharedKind kind, Registration member);
  Task<void> erase_member(SharedKind kind, std::string id);
  void keep_members();
  void forget_silent();
  void heard(std::string_view hint);
  void missed();
  bool tell(SharedKind kind, const SharedStore::Found& found);
  void told(SharedKind kind, const SharedStore::Member& member);
  void gone(const Name& name);

  Loop& loop_;
  const SharedStateOptions options_;
  SharedView& view_;
  redis::Client client_;
  SharedStore store_;
  redis::Subscriber subscriber_;
  std::map<Name, Known> members_;
  std::map<Name, bool> hints_;  // true: said to be gone
  Gate hinted_;
  Gate scan_wanted_;
  bool missed_ = true;
  prometheus::Gauge& up_;
  prometheus::Counter& rewritten_;
};

}  // namespace weir
