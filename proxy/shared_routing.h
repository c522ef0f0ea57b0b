// proxy/shared_routing.h
// The Router of a node that shares its view with others: whoever makes a route first makes it for
// all of them.
//
//   request ─► Router: follow a route ───────────────────────────────► answer
//                 │ made one
//                 ▼
//              claim ──mine──────────────────────────────────────────► answer
//                 │ theirs ──► Router: adopt it, route again ────────► answer
//                 │              │ it leads nowhere from here
//                 │              ▼
//                 │            move theirs to mine, unless somebody else did
//                 │ Redis away, or past its deadline
//                 ▼
//              Router: what all nodes agree on without talking ──────► answer
//
// Requests for a stream whose route is being claimed wait for that claim, so that none of them
// takes a route that turns out not to be the one. All of it together waits for Redis no longer than
// SharedStoreOptions::timeout.
//
// A stream is where it is published. So a node through which somebody publishes insists on its own
// route, if need be against what Redis has; but only for kYoung, so that of two publishers the later
// one is right. Viewers whose stream has moved are told (Router::on_moved).
//
// A node that follows no routes (an edge that only wants to know the proxies) claims none.
//
// Threading: the Router's loop. Bounds: SharedState's; a claim under way for each stream that is
// asked for; kMaxUnshared routes that wait for Redis (those past it come to it with their sessions).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/router.h"
#include "proxy/shared_state.h"

namespace weir {

struct SharedRoutingOptions {
  SharedStateOptions state;
  std::optional<Registration> self;  // what this node tells the others about itself, as a proxy
};

class SharedRouting final : private SharedView {
 public:
  static constexpr std::size_t kMaxUnshared = 10'000;

  // REQUIRES: `router` outlives run().
  SharedRouting(Loop& loop, Router& router, SharedRoutingOptions options, Metrics& metrics);

  // Spawn it once; it ends when the loop gives up its waits.
  Task<void> run();

  // As Router::route.
  Task<Result<Route>> route(std::string key, Protocol protocol, std::vector<std::string> exclude,
                            std::optional<NamedOrigin> named);
  // As Router's; the others are told what that changed.
  void confirmed(const std::string& key, const std::string& id);
  Result<void> heartbeat(const Registration& registration);
  Result<void> remove(const std::string& id);

  // This node takes no more streams: the others are not to send it any.
  void leave();
  // Another process is this node from here on, and speaks for it.
  void fall_silent();

  SharedState& state() { return state_; }

 private:
  std::vector<SharedRoute> live_routes() override { return router_.held(); }
  void route_told(const SharedRoute& route) override;
  void route_gone(const std::string& stream) override { router_.drop(stream); }
  void member_told(SharedKind kind, const Registration& member, milliseconds age) override;
  void member_gone(SharedKind kind, const std::string& id) override;

  // Until nobody claims the stream's route, or the deadline.
  Task<void> claim_settled(std::string key, Deadline deadline);
  // Whether `mine` is the stream's route now; false when another one was adopted. Errors:
  // SharedStore::claim.
  Task<Result<bool>> claim(SharedRoute mine, Deadline deadline);
  // Moves the stream's route to `to`, whoever has moved it meanwhile.
  Task<void> insist(SharedRoute from, SharedRoute to);
  // Moves it if it is still `from`, and otherwise adopts what it is. False when Redis did not answer.
  Task<bool> propose(SharedRoute from, SharedRoute to);
  Task<void> tell_self();
  void remember_unshared(SharedRoute claimed, SharedRoute made);
  Task<void> share_late();
  bool shares_routes() const;

  Loop& loop_;
  Router& router_;
  const SharedRoutingOptions options_;
  Resolver resolver_;
  SharedState state_;
  std::map<std::string, std::shared_ptr<Gate>> claims_;  // by stream
  // Made while Redis was away, and what was claimed before: the others are told when it is back.
  std::map<std::string, std::pair<SharedRoute, SharedRoute>> unshared_;
  Gate unshared_added_;
  bool leaving_ = false;
};

}  // namespace weir
