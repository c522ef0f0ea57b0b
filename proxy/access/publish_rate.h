// proxy/access/publish_rate.h
// Notices a publisher that sends faster than limits.publish_bitrate for limits.publish_patience.
//
//     const PublishRate rate(loop, [&] { return bytes; }, [&](Error why) { ended = why; socket.close(); });
//
// A peak is no matter: what counts is each second on its own, and all of them in a row. Without a
// limit it costs nothing.
//
// Threading: its loop's. Bounds: a timer.
#pragma once

#include <functional>

#include "common/error.h"
#include "common/io/loop.h"

namespace weir {

// How long something has been faster than a limit, from looking at its count now and then.
class TooFast {
 public:
  TooFast(std::uint64_t count, Clock::time_point now)
      : counted_(count), counted_at_(now), within_at_(now) {}

  // Since the last look no more than `most` kbit/s: not at all.
  Clock::duration look(std::uint64_t count, Clock::time_point now, std::uint64_t most);
  double kbps() const { return kbps_; }

 private:
  std::uint64_t counted_;
  Clock::time_point counted_at_;
  Clock::time_point within_at_;  // when it last was within the limit
  double kbps_ = 0;
};

class PublishRate final : private Timer {
 public:
  using Count = std::function<std::uint64_t()>;  // bytes received so far
  using Exceeded = std::function<void(Error)>;   // once at most; may not destroy this

  PublishRate(Loop& loop, Count count, Exceeded exceeded);

 private:
  void expired() override;

  Loop& loop_;
  Count count_;
  Exceeded exceeded_;
  TooFast rate_;
};

}  // namespace weir
