// edge/fanout.h
// The viewers of one stream on one loop, and what this loop may read of the stream's logs.
//
//     home loop: Stream ──StreamNews (views, state)──► Fanout ──one sendmsg each──► viewers
//
// News come at most once a turn. Viewers are flushed when the merge window has passed since the
// last flush, all in one go: nothing else happens per viewer.
//
// Threading: one loop's. Bounds: viewers by the process's admission; those who take nothing for
// stall_timeout are ended by a look around once a second.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "common/io/gate.h"
#include "edge/edge_metrics.h"
#include "edge/edge_options.h"
#include "edge/merge_window.h"
#include "edge/viewer.h"

namespace weir {

// What a stream's home tells a loop that has asked for it.
struct StreamNews {
  std::array<LogView, kFormatCount> views;
  bool audio = true;  // has it, or may have it yet
  bool video = true;
  flv::Codec audio_codec = flv::Codec::Unknown;
  std::optional<Clock::time_point> sampled;  // when the oldest packet that is timed came
  bool urgent = true;                        // more than audio that could wait for the next frame
  std::optional<Error> over;                 // the stream is no more, and why
};

class Fanout final : private Timer, private TurnEnd {
 public:
  struct Context {
    Loop& loop;
    const EdgeOptions& options;
    EdgeMetrics& metrics;
    MergeWindow& window;
  };

  Fanout(Context context, std::string key, std::uint64_t subscription);
  ~Fanout();

  Loop& loop() const { return context_.loop; }
  const std::string& key() const { return key_; }
  const EdgeOptions& options() const { return context_.options; }
  // Tells news for this Fanout from news for one of the same key before it.
  std::uint64_t subscription() const { return subscription_; }

  void hear(StreamNews news);
  const StreamNews& news() const { return news_; }
  const LogView& view(Format format) const { return news_.views[static_cast<std::size_t>(format)]; }

  // Until a viewer of `format` could start; at once if it can. Errors: why the stream is over,
  // Timeout, NotFound when its audio is not what the format is for.
  Task<Result<void>> startable(Format format, Deadline deadline);
  // REQUIRES: startable() has just succeeded.
  void admit(Format format, Arrival arrival);

  // Nobody views and nobody waits.
  bool idle() const { return viewers_.empty() && waiting_ == 0; }
  std::size_t viewers() const { return viewers_.size(); }
  // Told when idle() has become true, at the end of a turn.
  std::function<void()> on_idle;

  // For viewers.
  void end(Viewer& viewer);
  void count_sent(Format format, std::size_t bytes);
  void count_jump(Format format) { context_.metrics.of(format).jumps->add(); }

 private:
  void expired() override;
  void turn_ended() override;
  void schedule(bool urgent);
  void flush();
  void look_around();
  void say_farewell();

  class Flush final : public Timer {
   public:
    explicit Flush(Fanout& fanout) : fanout_(fanout) {}
    void expired() override { fanout_.flush(); }

   private:
    Fanout& fanout_;
  };

  Context context_;
  std::string key_;
  std::uint64_t subscription_;
  StreamNews news_;
  Gate changed_;
  int waiting_ = 0;
  std::vector<std::unique_ptr<Viewer>> viewers_;
  std::vector<std::unique_ptr<Viewer>> ended_;  // let go at the end of the turn
  Flush flush_timer_;
  bool flush_due_ = false;  // at the end of this turn
  Clock::time_point flushed_;
  std::optional<Clock::time_point> sampled_;  // the same, of what the next flush sends
};

}  // namespace weir
