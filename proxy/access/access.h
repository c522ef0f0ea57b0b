// proxy/access/access.h
// Who may: asked by every session of every protocol before it serves its client.
//
//     if (Access* access = Access::current()) {          // null: nobody restricts anything
//       auto grant = co_await access->may(request);
//       if (!grant) ... refuse with grant.error() ...
//     }                                                  // the grant's end is the session's
//
// The order is: rules (addresses, signatures, tokens), a seat among the stream's viewers, upstream if
// access.traverse says so, callbacks. What costs nobody else anything comes first.
//
// Requests for files over HTTP are not sessions: playlists come again every few seconds, and the
// segments beside them often without any token. look() tells at once what is known of their client;
// may_fetch() asks, once however many of its requests wait.
//
// Threading: one for each loop, and that loop's; Access::current() finds the calling loop's. A grant
// may end on any thread. Bounds: those of Verdicts, whose keys are of kLongestKey at most, HookCaller
// and HookNotices.
#pragma once

#include <functional>

#include "common/log.h"
#include "proxy/access/access_options.h"
#include "proxy/access/grant.h"
#include "proxy/access/hook_notices.h"
#include "proxy/access/stream_seats.h"
#include "proxy/access/verdicts.h"

namespace weir {

using Permit = std::expected<Grant, AccessRefusal>;

// What the loops of a process have in common.
struct SharedAccess {
  StreamSeats seats;
  Verdicts verdicts;
};

class Access final : private Timer {
 public:
  // Asks upstream; nothing: it says yes. See access.traverse.
  using AskUpstream = std::function<Task<std::optional<AccessRefusal>>(AccessRequest)>;
  static constexpr std::size_t kLongestKey = 128;
  enum class Look : std::uint8_t { Allowed, Ask };

  // The calling loop's, when anything is restricted.
  static Access* current();
  // The same, restricted or not; null where nobody made one.
  static Access* here();

  // REQUIRES: made on the loop's thread; outlives the loop's sessions, and `shared` all grants.
  Access(Loop& loop, SharedAccess& shared, Metrics& metrics);
  ~Access();

  Loop& loop() const { return loop_; }
  // From now on; sessions that are here stay.
  void apply(std::shared_ptr<const AccessOptions> options);
  void ask_upstream_with(AskUpstream ask) { ask_upstream_ = std::move(ask); }
  const AccessOptions& options() const { return *options_; }

  Task<Permit> may(AccessRequest request);
  // For a file; narrows the request to those names that it may have.
  std::expected<Look, AccessRefusal> look(AccessRequest& request);
  Task<std::expected<void, AccessRefusal>> may_fetch(AccessRequest request);

  // A publisher has been too fast for too long.
  void count_too_fast() { too_fast_.Increment(); }

  std::deque<HookNotices::Notice> take_notices() { return notices_.take_all(); }

 private:
  friend class Grant;
  using Options = std::shared_ptr<const AccessOptions>;

  std::unexpected<AccessRefusal> refuse(AccessRefusal why);
  bool remembers(const AccessRequest& request);
  bool was_granted(const AccessRequest& request, const std::string& credential);
  void remember(const AccessRequest& request);
  bool asks_upstream(const AccessRequest& request, const AccessOptions& options) const;
  Task<std::optional<AccessRefusal>> ask_upstream(AccessRequest request, Options options);
  Task<std::optional<AccessRefusal>> ask_hooks(Options options, Grant& grant);
  Task<std::optional<AccessRefusal>> ask_hook(Options options, HookEvent event, HookClient client);
  Task<Verdicts::Answer> begin_viewing(AccessRequest request, Options options);
  Task<Verdicts::Answer> upstream_answer(AccessRequest request);
  Grant grant_for(const AccessRequest& request, Options options);
  void ended(Grant::State& state);
  void expired() override;

  Loop& loop_;
  SharedAccess& shared_;
  Options options_;
  AskUpstream ask_upstream_;
  std::vector<prometheus::Counter*> refused_;
  prometheus::Counter& too_fast_;
  HookCaller caller_;
  HookNotices notices_;
};

}  // namespace weir
