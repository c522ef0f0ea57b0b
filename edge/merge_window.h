// edge/merge_window.h
// How long media is collected before viewers are flushed. The cost of a viewer
// is its number of writes, so waiting a little is what lets a busy core serve more; a core with
// time to spare sends every packet at once.
//
// The first thing to wait, already on a loop with a little to do, is audio between two video
// frames: it goes with the next frame, which is two writes in three saved for a delay that no
// player's audio buffer notices. After that the window widens while the loop works more than kBusy
// of its time and narrows while it works less than kEasy, looked at once a kReview, so that one
// burst changes little. A loop that is full widens it in leaps: thousands of viewers who come at
// once must not wait for the slow way up.
//
// Threading: one loop's. current() by any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>

#include "common/io/loop.h"

namespace weir {

class MergeWindow {
 public:
  static constexpr double kFull = 0.9;
  static constexpr double kBusy = 0.75;
  static constexpr double kEasy = 0.5;
  static constexpr double kAudioWaits = 0.05;
  static constexpr milliseconds kSmallest{10};
  static constexpr int kLeap = 4;
  static constexpr milliseconds kReview{250};
  static constexpr milliseconds kFrame{
      45};  // longer than the distance of two frames at 25 per second

  MergeWindow(std::optional<milliseconds> pinned, milliseconds max)
      : pinned_(pinned), max_(max), current_(pinned.value_or(milliseconds(0))) {}

  void change(std::optional<milliseconds> pinned, milliseconds max) {
    pinned_ = pinned;
    max_ = max;
    current_.store(pinned.value_or(std::min(current(), max)), std::memory_order_relaxed);
  }

  milliseconds current() const { return current_.load(std::memory_order_relaxed); }
  // How long audio may wait for the next video frame.
  milliseconds audio_patience() const { return audio_patience_; }

  // Looks at the loop's utilisation, at most once a kReview.
  void review(double utilisation, Clock::time_point now) {
    if (now < next_review_) return;
    next_review_ = now + kReview;
    audio_patience_ = utilisation > kAudioWaits ? kFrame : milliseconds(0);
    if (pinned_) return;
    const milliseconds window = current();
    if (utilisation > kFull) {
      current_.store(std::min(max_, kLeap * std::max(kSmallest, window)),
                     std::memory_order_relaxed);
    } else if (utilisation > kBusy) {
      current_.store(std::min(max_, std::max(kSmallest, window * 3 / 2)),
                     std::memory_order_relaxed);
    } else if (utilisation < kEasy) {
      current_.store(window <= kSmallest ? milliseconds(0) : window * 3 / 4,
                     std::memory_order_relaxed);
    }
  }

 private:
  std::optional<milliseconds> pinned_;
  milliseconds max_;
  std::atomic<milliseconds> current_;
  milliseconds audio_patience_{0};
  Clock::time_point next_review_;
};

}  // namespace weir
