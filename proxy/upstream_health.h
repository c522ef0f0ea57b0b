// proxy/upstream_health.h
// Whether one upstream is in use, from what sessions met there and what probes found.
//
//              refused or silent; `errors` hang-ups in a row;
//              a probe refused, `fall` probes failed in a row
//     in use ───────────────────────────────────────────────► out, for `backoff` x n
//        ▲                                                     │
//        └─ the back-off is over; a session's success; ◄───────┘
//           `rise` x n good probes in a row
//
// n is the number of incidents in a row; failures while it is out belong to the same one, so thirty
// sessions that fail together count once. The back-off is at most `backoff_cap`. The incidents are
// forgiven by the first success after it stayed in use for as long as its last ejection was meant to
// take: an upstream that flaps is left alone ever longer. That is why the good probes which end a
// back-off early must be more each time, too.
//
// Whom probes find down is out until they find it up, whatever the back-off and the sessions say: a
// hung server still lets itself be connected. Probes that only connect (`probes_talk` off) end what
// they began and nothing else.
//
// A hang-up during the set-up of a session may be the answer to what the client sent, so one says
// nothing. `errors` of them without a session served in between put it out of use for new streams;
// for any client can cause them, the streams it has stay.
//
// Slow start: after it has joined or was out, its warmth rises from kColdest to 1 within
// `slow_start`.
//
// Threading: its owner's. Time is what the caller says; it may not run back. Bounds: constant.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace weir {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

struct HealthOptions {
  Duration backoff = std::chrono::seconds{5};
  Duration backoff_cap = std::chrono::seconds{60};
  Duration slow_start{};  // 0: none
  std::uint32_t errors = 5;
  std::uint32_t fall = 3;
  std::uint32_t rise = 2;
  bool probes_talk = true;
};

enum class Probed : std::uint8_t { Good, Bad, Refused };
enum class Probes : std::uint8_t { Unknown, Up, Down };  // what they say in the end

class UpstreamHealth {
 public:
  static constexpr double kColdest = 0.1;

  // It has just come, and is cold.
  void joined(TimePoint now) { since_ = now; }
  // Another life of the server: in use and without a record, but for the totals.
  void restarted(TimePoint now);

  // These are true when they put it out of use, or take the streams that it had kept.
  bool failed(const HealthOptions& options, TimePoint now);
  bool hung_up(const HealthOptions& options, TimePoint now);
  bool probed(const HealthOptions& options, Probed result, TimePoint now);

  // It let itself be connected; it served a session.
  void succeeded(TimePoint now);
  void served() { hang_ups_ = 0; }

  // REQUIRES: ejected. What it was ejected for says nothing of the streams it has.
  bool keeps_streams() const { return only_hung_up_; }
  bool ejected(TimePoint now) const { return probes_ == Probes::Down || backing_off(now); }
  // Until which time it is out at least. REQUIRES: ejected.
  TimePoint until() const { return *until_; }
  Duration ejected_for() const { return ejected_for_; }
  double warmth(const HealthOptions& options, TimePoint now) const;

  Probes probes() const { return probes_; }
  std::uint64_t failures() const { return failures_; }
  std::uint64_t ejections() const { return ejections_; }

 private:
  bool backing_off(TimePoint now) const { return until_ && now < *until_; }
  bool eject(const HealthOptions& options, TimePoint now);
  void come_back(TimePoint now);

  std::uint32_t incidents_ = 0;     // in a row
  std::optional<TimePoint> until_;  // may lie in the past: then it is in use
  Duration ejected_for_{};          // how long the last ejection was meant to take
  std::optional<TimePoint> since_;  // in use; none: from the beginning
  std::uint32_t hang_ups_ = 0;      // in a row, as the next two
  std::uint32_t good_probes_ = 0;
  std::uint32_t bad_probes_ = 0;
  bool only_hung_up_ = false;  // is why it is out
  Probes probes_ = Probes::Unknown;
  std::uint64_t failures_ = 0;
  std::uint64_t ejections_ = 0;
};

}  // namespace weir
