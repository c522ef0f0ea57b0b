// edge/stream.h
// One stream at home: packets in from its one source, logs out to every loop that asked.
//
//     Puller or publisher ─► ingest() ─► Timeline ─► Gop ─► MediaLog per format ─► news to loops, once a turn
//
// A stream is born by its first viewer or by its publisher and ended only here, on its home loop,
// so a thousand first viewers on all loops make one pull without a lock. Sources come and go while
// viewers stay: a new one is let in at its first keyframe, its timestamps continuing where the old
// ones ended.
//
// Threading: the home loop. Bounds: the logs' and the Gop's limits; a subscription per loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/media_log.h"
#include "cache/timeline.h"
#include "common/io/gate.h"
#include "common/rate_meter.h"
#include "edge/edge_metrics.h"
#include "edge/edge_options.h"
#include "edge/fanout.h"

namespace weir {

class Stream final : private TurnEnd {
 public:
  // How news reach a loop: by a message, or directly when it is the home loop itself.
  using Deliver = std::function<void(int loop, std::uint64_t subscription, StreamNews)>;

  Stream(Loop& loop, std::string key, const EdgeOptions& options, EdgeMetrics& metrics,
         Deliver deliver);
  ~Stream();

  Loop& loop() const { return loop_; }
  const std::string& key() const { return key_; }

  // The source is to send from here on; what another one sent before is finished.
  void begin_source();
  Gop::Role ingest(const flv::Tag& tag);
  // When the last packet came; nothing before the first.
  std::optional<Clock::time_point> last_packet() const { return last_packet_; }
  // Whether it has ever shown viewers anything.
  bool started() const { return started_; }

  // A loop asks for a format, or for one more; and no longer for any.
  void subscribe(int loop, std::uint64_t subscription, Format format);
  void unsubscribe(int loop, std::uint64_t subscription);
  bool watched() const { return !subscriptions_.empty(); }
  // Since when nobody watches; REQUIRES: !watched().
  Clock::time_point unwatched_since() const { return unwatched_since_; }
  // Notified when somebody comes who watches.
  Gate& came() { return came_; }

  // For a reader on the home loop, such as the forwarder: a format's log, kept up from now on.
  LogView view(Format format);
  // Notified when ingest() has added to the logs, at the end of the turn.
  Gate& added() { return added_; }

  // Tells every loop that the stream is over.
  void finish(const Error& why);
  bool finished() const { return over_.has_value(); }
  const std::optional<Error>& over() const { return over_; }

  const Gop& gop() const { return gop_; }

  std::uint64_t frames() const { return frames_; }  // pictures
  Traffic traffic() const { return {.received = received_, .sent = 0}; }
  TrafficRate rate() const { return rate_.rate(loop_.now(), traffic()); }
  // Call it about once a second or more often.
  void sample_rate() { rate_.sample(loop_.now(), traffic()); }

 private:
  struct Subscription {
    std::uint64_t id;
    std::array<bool, kFormatCount> wants;
  };

  void turn_ended() override;
  void tell();
  MediaLog& log(Format format);
  void append(const flv::Tag& tag, Gop::Role role);

  Loop& loop_;
  std::string key_;
  const EdgeOptions& options_;
  EdgeMetrics& metrics_;
  Deliver deliver_;
  Gop gop_;
  Timeline timeline_;
  std::array<std::unique_ptr<MediaLog>, kFormatCount> logs_;
  std::map<int, Subscription> subscriptions_;
  Gate came_;
  Gate added_;
  bool await_keyframe_ = true;
  bool started_ = false;
  unsigned until_sample_ = 0;                 // packets
  std::optional<Clock::time_point> sampled_;  // when the first of this turn's that is timed came
  bool urgent_ = false;  // what was appended this turn is more than audio between frames
  std::optional<Clock::time_point> last_packet_;
  std::uint64_t frames_ = 0;
  std::uint64_t received_ = 0;  // bytes
  RateMeter rate_;
  Clock::time_point unwatched_since_;
  const void* preamble_version_ = nullptr;
  std::uint32_t preamble_ms_ = 0;
  std::optional<Error> over_;
};

}  // namespace weir
