// cache/timeline.h
// Timestamps of a stream whose source may change: what viewers see never runs back.
//
// The first source's own timestamps are kept, so that every edge shows the same ones. What a later source
// sends goes on where the earlier one ended, and so does a source whose clock jumps by more than kJumpMs, in
// either direction. Within a source the order of audio and video is left as it came.
//
// Threading: a value of the home loop. All arithmetic is modulo 2^32, as RTMP's is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace weir {

class Timeline {
 public:
  static constexpr std::int32_t kJumpMs = 10'000;
  static constexpr std::uint32_t kStepMs = 20;  // between the last packet of one source and the first of the next

  std::uint32_t map(std::uint32_t source_ms) {
    if (!started_) {
      started_ = true;
      last_source_ms_ = last_ms_ = floor_ms_ = source_ms;
      return source_ms;
    }
    const bool jumped = std::abs(static_cast<std::int32_t>(source_ms - last_source_ms_)) > kJumpMs;
    if (rebase_ || jumped) {
      rebase_ = false;
      floor_ms_ = last_ms_ + kStepMs;
      offset_ = floor_ms_ - source_ms;
    }
    last_source_ms_ = source_ms;
    std::uint32_t mapped = source_ms + offset_;
    // Audio that goes with the first keyframe may be a little older than it.
    if (static_cast<std::int32_t>(mapped - floor_ms_) < 0) mapped = floor_ms_;
    if (static_cast<std::int32_t>(mapped - last_ms_) > 0) last_ms_ = mapped;
    return mapped;
  }

  // What comes next is another source's.
  void new_source() { rebase_ = started_; }

 private:
  bool started_ = false;
  bool rebase_ = false;
  std::uint32_t offset_ = 0;
  std::uint32_t floor_ms_ = 0;  // nothing earlier than this since the last change of source
  std::uint32_t last_ms_ = 0;   // the latest that was given
  std::uint32_t last_source_ms_ = 0;
};

}  // namespace weir
