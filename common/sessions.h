// common/sessions.h
// Who is connected: the live sessions of one loop, to be listed and ended. Those whose permission is
// to end do so by themselves.
//
// Threading: everything belongs to the loop's thread but size(). Other threads ask through
// SessionDirectory.
// Bounds: one LiveSession per connection, which admission bounds. A tick looks at a part of them, so
// that all have had their turn once in RateMeter::kPeriod. What streams moved is kept for kLoadMemory
// after their last client, if nobody asks for it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/live_session.h"
#include "common/session_witness.h"

namespace weir {

// One of them as it was when asked for.
struct SessionState {
  std::string id;
  SessionFacts facts;
  milliseconds age{0};
  Traffic traffic;
  TrafficRate rate;
};

// All sessions of one stream on one loop.
struct StreamSessions {
  struct Publisher {
    std::string id;
    std::string protocol;
  };
  std::optional<Publisher> publisher;
  std::map<std::string, std::size_t, std::less<>> viewers;  // by protocol
  milliseconds age{0};                                      // of the oldest
  Traffic publishing;
  Traffic playing;
  TrafficRate publishing_rate;
  TrafficRate playing_rate;
  double viewer_kbps = 0;  // of the viewer who gets most
  std::string upstream;    // of one of them

  void add(const StreamSessions& other);
};
using SessionsByStream = std::unordered_map<std::string, StreamSessions>;

// What the clients of one stream on one loop moved since that was last asked for.
struct StreamLoad {
  Traffic traffic;
  std::size_t viewers = 0;
  std::size_t publishers = 0;
  Clock::time_point left{};  // when the last of them went
};
using StreamLoads = std::unordered_map<std::string, StreamLoad>;

class Sessions final : private Timer {
 public:
  // Of the calling loop's thread; null elsewhere, and where nobody made one.
  static Sessions* current();

  static constexpr std::chrono::seconds kLoadMemory{60};

  // Without a witness nobody hears of them.
  explicit Sessions(Loop& loop, std::unique_ptr<SessionWitness> witness = nullptr);
  ~Sessions();

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  // Of this stream only; of all when it is empty.
  std::size_t count(const std::string& stream) const;
  // In the order of their begin.
  std::vector<SessionState> list(std::size_t start, std::size_t count,
                                 const std::string& stream = {}) const;
  std::optional<SessionState> find(const std::string& id) const;
  SessionsByStream by_stream() const;
  // Of every stream that has clients, or had some since the last call.
  StreamLoads take_loads();

  SessionWitness* witness() const { return witness_.get(); }

  // False when there is no such session.
  bool end(const std::string& id, const Error& why);

  // Ends those whose permission is over at `now`, in seconds since 1970. Each tick does.
  void end_expired(std::int64_t now);

  // Ends what is idle, and whatever becomes so: this node is going away.
  void drain();
  bool draining() const { return draining_; }

 private:
  friend class LiveSession;
  void add(LiveSession& session);
  void remove(LiveSession& session);
  void enter_load(LiveSession& session);
  void leave_load(LiveSession& session);
  void forget_loads();
  SessionState state_of(LiveSession& session) const;
  void expired() override;
  std::string new_id();

  Loop& loop_;
  const std::unique_ptr<SessionWitness> witness_;
  StreamLoads loads_;
  Clock::time_point loads_checked_;
  std::atomic<std::size_t> size_{0};
  LiveSession* first_ = nullptr;
  LiveSession* last_ = nullptr;
  LiveSession* to_sample_ = nullptr;
  std::unordered_map<std::string_view, LiveSession*> by_id_;
  std::set<std::pair<std::int64_t, LiveSession*>> expiring_;  // the next one first
  bool draining_ = false;
};

}  // namespace weir
