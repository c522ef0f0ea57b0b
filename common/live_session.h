// common/live_session.h
// One client that is being served, for the control API to show and to end, and for its loop's witness
// (session_witness.h) to hear of.
//
//     LiveSession live({.kind = SessionKind::Play, .protocol = "rtmp", .stream = key,
//                       .peer = socket.peer(), .agent = flash_version, .asked = accepted}, socket);
//     ... live.media_began(); ... live.over(why.code);
//
// Whoever serves a client keeps a LiveSession for as long as it does. That costs nothing while media
// flows: bytes are asked for when somebody wants to see them (of a TCP socket, the kernel counts).
//
// It finds the list of its loop (sessions.h) by itself, as Loop::current() finds the loop; where
// there is none, as in most tests, it is in no list.
//
// Threading: its loop's. Bounds: texts of peers are cut at kMaxText.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/io/socket.h"
#include "common/rate_meter.h"

namespace weir {

class Sessions;
struct StreamLoad;

enum class SessionKind : std::uint8_t { Play, Publish };

struct SessionFacts {
  SessionKind kind = SessionKind::Play;
  std::string_view protocol{};  // a literal: "rtmp", "flv", "hls", "srt", "webrtc", ...
  std::string stream{};         // its key
  Address peer{};
  std::string upstream{};     // the id of the one it is relayed to, if it is
  std::string agent{};        // User-Agent, flashVer
  std::string page_url{};     // of the player, as it says; kept without what may be secret
  std::string request_id{};   // under which logs know it
  Clock::time_point asked{};  // when the client came; none: when the session is made
  bool connection = false;    // it carries requests, which are told of instead of it
  std::int64_t expires = 0;   // when it ends, in seconds since 1970; 0: at no time that is known
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
  const SessionFacts& facts() const { return facts_; }
  // One that never came to be: its client was told no. For the witness alone.
  static void refused(const SessionFacts& facts, Errc why);

  // Why the operator or the end of the process ended it, if so.
  const std::optional<Error>& ended() const { return ended_; }

  // What it is about now, for connections that carry one request after another.
  void describe(std::string_view protocol, std::string stream);
  // For those that begin before their peer has said who it is.
  bool nameless() const { return !introduced_; }
  void introduce(std::string_view agent, std::string_view page_url);
  // Of connections that carry requests of many.
  void set_peer(const Address& peer) { facts_.peer = peer; }
  void set_upstream(std::string id) { facts_.upstream = std::move(id); }
  void set_expiry(std::int64_t expires);
  // Of a connection: it serves its stream from here on. Others do from their beginning.
  void begin();
  // Its client gets media from here on; the first time counts.
  void media_began();
  // Why it is about to end, when it is not the operator who ends it; Errc::Closed unless told.
  void over(Errc why) { why_ = why; }
  // Between two requests: nobody would miss it when this node is to go away.
  void set_idle(bool idle) { idle_ = idle; }

 private:
  friend class Sessions;
  void end(const Error& why);
  void settle();

  SessionFacts facts_;
  std::string id_;
  Count count_;
  End end_;
  std::optional<Error> ended_;
  Clock::time_point begun_;
  RateMeter rate_;
  Errc why_ = Errc::Closed;
  StreamLoad* load_ = nullptr;  // of its stream on this loop; null while it has none
  Traffic counted_;             // what that knows already
  bool began_ = false;
  bool joined_ = false;
  bool introduced_ = false;
  bool idle_ = false;
  Sessions* directory_ = nullptr;
  LiveSession* previous_ = nullptr;
  LiveSession* next_ = nullptr;
};

// What the kernel counted on a TCP connection; nothing for other sockets.
Traffic traffic_of(int fd);

}  // namespace weir
