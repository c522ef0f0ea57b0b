// common/sessions.h
// Who is connected: the live sessions of one loop, for the control API to list and to end.
//
//     const LiveSession live({.kind = SessionKind::Play, .protocol = "rtmp", .stream = key,
//                             .peer = socket.peer(), .agent = flash_version}, socket);
//
// Whoever serves a client keeps a LiveSession for as long as it does. That costs nothing while media
// flows: bytes are asked for when somebody wants to see them (of a TCP socket, the kernel counts).
//
// LiveSession finds the directory of its loop by itself, as Loop::current() finds the loop; where
// there is none, as in most tests, it is in no list.
//
// Threading: everything belongs to the loop's thread but size(). Other threads ask through
// SessionDirectory.
// Bounds: one LiveSession per connection, which admission bounds; texts of peers are cut at
// kMaxText. A tick looks at a part of them, so that all have had their turn once in
// RateMeter::kPeriod.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/socket.h"
#include "common/rate_meter.h"

namespace weir {

class Sessions;

enum class SessionKind : std::uint8_t { Play, Publish };

struct SessionFacts {
  SessionKind kind = SessionKind::Play;
  std::string_view protocol{};  // a literal: "rtmp", "flv", "hls", "srt", "webrtc", ...
  std::string stream{};         // its key
  Address peer{};
  std::string upstream{};    // the id of the one it is relayed to, if it is
  std::string agent{};       // User-Agent, flashVer
  std::string page_url{};    // of the player, as it says
  std::string request_id{};  // under which logs know it
};

class LiveSession {
 public:
  static constexpr std::size_t kMaxText = 256;

  // What was received and sent so far; called on the loop.
  using Count = std::move_only_function<Traffic()>;
  // Ends the session; called on the loop, once at most, and may destroy this.
  using End = std::move_only_function<void()>;

  LiveSession(SessionFacts facts, Count count, End end);
  // Counted by the kernel, ended by close(). REQUIRES: the socket outlives this.
  LiveSession(SessionFacts facts, Socket& socket);
  ~LiveSession();
  LiveSession(const LiveSession&) = delete;
  LiveSession& operator=(const LiveSession&) = delete;

  // 8 lower case letters and digits; unique among this process's.
  const std::string& id() const { return id_; }
  // Why the operator or the end of the process ended it, if so.
  const std::optional<Error>& ended() const { return ended_; }

  // What it is about now, for connections that carry one request after another.
  void describe(std::string_view protocol, std::string stream);
  // For those that begin before their peer has said who it is.
  bool nameless() const { return !introduced_; }
  void introduce(std::string_view agent, std::string_view page_url);
  void set_upstream(std::string id) { facts_.upstream = std::move(id); }
  // Between requests: nobody would miss it when this node is to go away.
  void set_idle(bool idle) { idle_ = idle; }

 private:
  friend class Sessions;
  void end(const Error& why);

  SessionFacts facts_;
  std::string id_;
  Count count_;
  End end_;
  std::optional<Error> ended_;
  Clock::time_point begun_;
  RateMeter rate_;
  bool introduced_ = false;
  bool idle_ = false;
  Sessions* directory_ = nullptr;
  LiveSession* previous_ = nullptr;
  LiveSession* next_ = nullptr;
};

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

class Sessions final : private Timer {
 public:
  // Of the calling loop's thread; null elsewhere, and where nobody made one.
  static Sessions* current();

  explicit Sessions(Loop& loop);
  ~Sessions();

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  // Of this stream only; of all when it is empty.
  std::size_t count(const std::string& stream) const;
  // In the order of their begin.
  std::vector<SessionState> list(std::size_t start, std::size_t count,
                                 const std::string& stream = {}) const;
  std::optional<SessionState> find(const std::string& id) const;
  SessionsByStream by_stream() const;

  // False when there is no such session.
  bool end(const std::string& id, const Error& why);

  // Ends what is idle, and whatever becomes so: this node is going away.
  void drain();
  bool draining() const { return draining_; }

 private:
  friend class LiveSession;
  void add(LiveSession& session);
  void remove(LiveSession& session);
  SessionState state_of(LiveSession& session) const;
  void expired() override;
  std::string new_id();

  Loop& loop_;
  std::atomic<std::size_t> size_{0};
  LiveSession* first_ = nullptr;
  LiveSession* last_ = nullptr;
  LiveSession* to_sample_ = nullptr;
  std::unordered_map<std::string_view, LiveSession*> by_id_;
  bool draining_ = false;
};

// What the kernel counted on a TCP connection; nothing for other sockets.
Traffic traffic_of(int fd);

}  // namespace weir
