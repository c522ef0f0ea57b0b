// common/wire/bare_audio.h
// The sound of a stream as a file of nothing else: AAC in ADTS, or MP3. Frames explain themselves,
// so a viewer may start with any of them. Not each is called a Start: a player wants a handful at
// once before it begins, and so it gets what came since the last one, up to kStartEveryMs.
//
// Threading: one owner. Bounds: nothing is kept.
#pragma once

#include <optional>

#include "common/wire/adts.h"
#include "common/wire/remuxer.h"

namespace weir {

class BareAudio final : public Remuxer {
 public:
  static constexpr std::int32_t kStartEveryMs = 500;

  // REQUIRES: Aac or Mp3.
  explicit BareAudio(flv::Codec codec) : codec_(codec) {}

  void configure(const flv::Tag& header) override;
  Wrote write(const flv::Tag& tag, bool keyframe, ByteBuffer& out) override;

 private:
  flv::Codec codec_;
  std::optional<adts::Config> aac_config_;
  std::optional<std::uint32_t> start_ms_;  // of the newest Start
};

}  // namespace weir
