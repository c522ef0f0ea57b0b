// cache/timeline.h
// Timestamps of a stream whose source may change: what viewers see never runs back.
//
// The first source's own timestamps are kept, so that every edge shows the same ones. What a later
// source sends goes on where the earlier one ended; and so does a source that jumps, because its
// publisher came back or its clock was set. Audio and video keep the distance that their source
// gave them.
//
// Threading: a value of the home loop. All arithmetic is modulo 2^32, as RTMP's is.
#pragma once

#include <array>
#include <cstdint>

#include "common/wire/flv.h"

namespace weir {

class Timeline {
 public:
  static constexpr std::int32_t kJumpAheadMs = 10'000;  // of all media: one kind may be silent long
  static constexpr std::int32_t kJumpBackMs = 500;      // within one kind of media; less is jitter
  static constexpr std::uint32_t kStepMs =
      20;  // between the last packet of one source and the first of the next

  std::uint32_t map(flv::TagType type, std::uint32_t source_ms) {
    Track& track = type == flv::TagType::Video ? video_ : audio_;
    if (!started_) {
      started_ = true;
      last_ms_ = floor_ms_ = newest_source_ms_ = source_ms;
    } else if (new_source_ || jumps(track, source_ms)) {
      floor_ms_ = last_ms_ + kStepMs;
      offset_ = floor_ms_ - source_ms;
      newest_source_ms_ = source_ms;
      video_ = audio_ = {};
    }
    if (before(newest_source_ms_, source_ms)) newest_source_ms_ = source_ms;
    new_source_ = false;
    std::uint32_t mapped = source_ms + offset_;
    // Audio that goes with the first keyframe may be a little older than it.
    if (before(mapped, floor_ms_)) mapped = floor_ms_;
    if (track.seen && before(mapped, track.mapped_ms)) mapped = track.mapped_ms;
    track = {.seen = true, .source_ms = source_ms, .mapped_ms = mapped};
    if (before(last_ms_, mapped)) last_ms_ = mapped;
    return mapped;
  }

  // What comes next is another source's.
  void new_source() { new_source_ = started_; }

 private:
  struct Track {
    bool seen = false;
    std::uint32_t source_ms = 0;
    std::uint32_t mapped_ms = 0;
  };

  static std::int32_t distance(std::uint32_t from, std::uint32_t to) {
    return static_cast<std::int32_t>(to - from);
  }
  static bool before(std::uint32_t a, std::uint32_t b) { return distance(b, a) < 0; }

  bool jumps(const Track& track, std::uint32_t source_ms) const {
    return track.seen && (distance(newest_source_ms_, source_ms) > kJumpAheadMs ||
                          distance(track.source_ms, source_ms) < -kJumpBackMs);
  }

  bool started_ = false;
  bool new_source_ = false;
  std::uint32_t offset_ = 0;
  std::uint32_t floor_ms_ = 0;          // nothing earlier than this since the last change
  std::uint32_t last_ms_ = 0;           // the latest that was given
  std::uint32_t newest_source_ms_ = 0;  // the latest that this source sent
  Track audio_;                         // and scripts
  Track video_;
};

}  // namespace weir
