// common/session_recorder.h
// The witness of a loop's sessions: numbers for metrics, a line of JSON for the access log.
//
//     {"time":"2026-01-31T12:00:00.123Z","action":"play","session":"0k3v9q2x","request":"f00d",
//      "protocol":"flv","stream":"__defaultVhost__/live/a","peer":"192.0.2.7:50123","upstream":"",
//      "seconds":12.5,"received":311,"sent":1562500,"agent":"VLC","page":"","reason":"closed"}
//
// A request's line has `method`, `target` and `status`, too. A live pipe that is relayed as a request
// is a session all the same: action "play".
//
// Threading: its loop's. Bounds: a series for each protocol, which are literals.
#pragma once

#include <map>

#include "common/access_log.h"
#include "common/live_session.h"
#include "common/session_witness.h"

namespace weir {

class SessionRecorder final : public SessionWitness {
 public:
  // Null `log`: none is kept. REQUIRES: both outlive this.
  SessionRecorder(Metrics& metrics, AccessLog* log);

  void began(const SessionFacts& facts) override;
  void joined(const SessionFacts& facts, Clock::duration wait) override;
  void session_ended(const SessionEnd& end) override;
  void answered(Clock::duration wait) override { first_byte_.add(wait); }
  void request_ended(const RequestEnd& end) override;
  bool wants_requests() const override { return log_ != nullptr; }

 private:
  void count_end(std::string_view protocol, std::string_view reason);

  Metrics& metrics_;
  AccessLog* const log_;
  Distribution& first_byte_;
  std::map<int, Distribution*> durations_;               // by a status' first digit
  std::map<std::string, Tally*, std::less<>> begun_[2];  // by protocol, by kind
  std::map<std::string, Tally*, std::less<>> failed_;
  std::map<std::string, Distribution*, std::less<>> joins_;
};

// "play" or "publish".
std::string_view name(SessionKind kind);

// The lines, without their ends.
std::string access_line(const SessionEnd& end, std::chrono::system_clock::time_point now);
std::string access_line(const RequestEnd& end, std::chrono::system_clock::time_point now);

}  // namespace weir
