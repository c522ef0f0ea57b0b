// proxy/webrtc_directory.h
// Which WebRTC sessions there are, by the names in their STUN requests.
//
//     signalling ─add──► directory ◄─find── a loop that got a STUN request of an unknown address
//                         │  ▲                 │ unknown name
//                     put ▼  │ get             ▼
//                        WebrtcStore ◄───── look_up: another proxy made it; relayed here from now on
//
// Beside its names the store has two more ways to a session: its id, by which PATCH and DELETE find
// it that come to another proxy, and the addresses that its client has proved, by which another proxy
// knows whose media it gets before the client's next check.
//
// Only the first packet of an address asks here; afterwards its loop knows the way. So this has one
// lock and no part in the media path.
//
// Threading: any loop; run() on one of them. The store's functions are awaited on whichever loop
// asks.
// Bounds: `max_sessions`; kLookUps questions a second to the store, and a name that is not there is
// not asked for again for kForget.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/io/wait.h"
#include "common/metrics.h"
#include "proxy/webrtc_session.h"

namespace weir {

// What proxies share. Values are forgotten after their lifetime.
class WebrtcStore {
 public:
  virtual ~WebrtcStore() = default;
  virtual Task<Result<void>> put(std::string name, std::string value, milliseconds lifetime) = 0;
  virtual Task<Result<std::optional<std::string>>> get(std::string name) = 0;
  virtual Task<Result<void>> remove(std::string name) = 0;
};

// A session's client as the control API shows it: once, however many paths it has on however many
// loops, and whatever names a restart of ICE gives it.
struct WebrtcClient {
  std::atomic<bool> listed{false};  // one of the paths holds its LiveSession
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> sent{0};
};

// One session while it lives; shared by the loops that relay it.
struct WebrtcEntry {
  WebrtcEntry(WebrtcSession of, Clock::time_point now) : session(std::move(of)) { hear(now); }

  const WebrtcSession session;
  std::shared_ptr<WebrtcClient> client = std::make_shared<WebrtcClient>();
  std::atomic<bool> ended{false};
  std::shared_ptr<void> held;  // let go with it; the directory's mutex guards it
  std::atomic<int> paths{0};
  std::atomic<bool> answered{false};  // the origin has sent something

  // A verified STUN request came.
  void hear(Clock::time_point now) { heard_.store(now.time_since_epoch().count()); }
  Clock::time_point heard() const { return Clock::time_point(Clock::duration(heard_.load())); }

 private:
  std::atomic<Clock::rep> heard_{0};
};
using WebrtcEntryPtr = std::shared_ptr<WebrtcEntry>;

class WebrtcDirectory {
 public:
  static constexpr milliseconds kSilence{30'000};   // without STUN, a session has ended
  static constexpr milliseconds kLifetime{90'000};  // in the store; refreshed long before
  static constexpr milliseconds kRefresh{20'000};
  static constexpr milliseconds kForget{1000};
  static constexpr int kLookUps = 2000;
  static constexpr std::size_t kMaxMissing = 16'384;

  // `store` may be null: then there are no other proxies. REQUIRES: it and `metrics` outlive this.
  WebrtcDirectory(std::size_t max_sessions, WebrtcStore* store, Metrics& metrics);

  // Ends silent sessions and keeps the store's records alive, until the loop gives up its waits.
  Task<void> run(Loop& loop);

  // A session that was just made, or more names for one that is there. Errors: Limit.
  Result<void> add(WebrtcSession session, Clock::time_point now);
  // add(), and the other proxies know it when this returns, or could not be told.
  Task<Result<void>> announce(Loop& loop, WebrtcSession session);

  // Keeps something for as long as the session; what was kept before goes.
  void hold(const std::string& id, std::shared_ptr<void> what);

  WebrtcEntryPtr find(std::string_view username) const;
  // By its id, here or in the store.
  Task<std::optional<WebrtcSession>> session(std::string id);
  // Whether to ask the store for a name that find() does not know; it counts as asked.
  bool may_look_up(std::string_view username, Clock::time_point now);
  // What another proxy has made; null when none has.
  Task<WebrtcEntryPtr> look_up(Loop& loop, std::string username);

  // From here on other proxies know whose address this is; and no longer.
  Task<void> bound(Address address, WebrtcEntryPtr entry);
  void unbound(const Address& address);
  // The same two for an address that nobody here has bound.
  bool may_look_up(const Address& address, Clock::time_point now);
  Task<WebrtcEntryPtr> look_up(Loop& loop, Address address);

  // The client has said goodbye. `id` may be unknown here.
  Task<void> end(std::string id);
  std::size_t size() const;

 private:
  using Entries = std::map<std::string, WebrtcEntryPtr, std::less<>>;  // by USERNAME
  struct Written {
    std::string name;
    std::string value;
  };

  void sweep(Clock::time_point now);
  bool may_ask(std::string name, Clock::time_point now);
  std::vector<Written> in_use() const;
  static void add_written(const WebrtcSession& session, std::vector<Written>& all);
  Task<void> write(std::vector<Written> values);

  const std::size_t max_sessions_;
  WebrtcStore* const store_;
  mutable std::mutex mutex_;  // for all below
  Entries entries_;
  std::map<std::string, WebrtcEntryPtr, std::less<>> by_id_;  // the newest entry of a session
  Entries addresses_;                                         // bound here
  std::map<std::string, Clock::time_point, std::less<>> missing_;
  Clock::time_point second_{};  // the one that look_ups_ counts
  int look_ups_ = 0;

  prometheus::Counter& take_overs_;
  prometheus::Counter& unknown_;
  Metrics::Sample sessions_;
};

}  // namespace weir
