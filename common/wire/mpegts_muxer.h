// common/wire/mpegts_muxer.h
// One program of MPEG-TS out of FLV tags: H.264 or HEVC, with AAC, MP3 or Opus, for live viewers.
//
//     PAT PMT │ K K K K │ a │ p p │ a │ p │ ... │ PAT PMT │ K K K │ a │ ...
//     └ a viewer starts here                    └ and here
//
// - Tables stand before each keyframe; without video, before audio every kTablesEveryMs. The tracks
//   in them are those whose frames can come: a new codec makes a new version of the PMT at once.
// - The clock (PCR) is never more than kClockEveryMs apart, but where a stream paused for longer
//   than kPauseMs. It runs kLeadMs before what is to be decoded.
// - Every frame is a PES packet of its own, with its length where it fits: players need not wait for
//   the next one to know that it has ended.
// - Continuity counters belong to the stream, so a viewer that starts or jumps finds a gap in them.
//   The lead-in declares it: one packet a PID that says "discontinuity" and bears the count from
//   which the tables and frames behind it go on.
//
// What has no decoder configuration yet, belongs to a further track, or is of another codec, is
// left out.
//
// Threading: one owner. Bounds: two frames' worth of memory.
#pragma once

#include <optional>

#include "common/wire/adts.h"
#include "common/wire/annexb.h"
#include "common/wire/mpegts.h"
#include "common/wire/remuxer.h"

namespace weir::mpegts {

class Muxer final : public Remuxer {
 public:
  static constexpr std::uint16_t kPatPid = 0;
  static constexpr std::uint16_t kPmtPid = 0x1000;
  static constexpr std::uint16_t kVideoPid = 0x100;
  static constexpr std::uint16_t kAudioPid = 0x101;
  static constexpr std::int32_t kTablesEveryMs = 400;  // and up to one packet of audio more
  static constexpr std::int32_t kClockEveryMs = 100;
  static constexpr std::int32_t kPauseMs = 1000;
  static constexpr std::uint32_t kLeadMs = 100;

  void configure(const flv::Tag& header) override;
  void expect_audio(flv::Codec codec) override;
  Wrote write(const flv::Tag& tag, bool keyframe, ByteBuffer& out) override;
  void append_lead_in(ByteBuffer& out) const override;

 private:
  // As the PMT has it; stream type 0: there is none.
  struct Track {
    std::uint8_t stream_type = 0;
    std::uint8_t channels = 0;  // Opus: its channel configuration
    friend bool operator==(const Track&, const Track&) = default;
  };
  struct Lanes {
    Lane pat{kPatPid};
    Lane pmt{kPmtPid};
    Lane video{kVideoPid};
    Lane audio{kAudioPid};
  };

  void configure_video(const flv::VideoInfo& info);
  void configure_audio(const flv::AudioInfo& info);
  Wrote write_video(const flv::Tag& tag, bool keyframe, ByteBuffer& out);
  Wrote write_audio(const flv::Tag& tag, bool keyframe, ByteBuffer& out);
  // Appends the frame behind `frame_`'s room for its header; nothing when it cannot be carried.
  std::optional<Track> append_audio_frame(const flv::AudioInfo& info);
  void declare(Track& track, Track now);
  Wrote begin(std::uint32_t time_ms, bool start, ByteBuffer& out);
  void append_tables(ByteBuffer& out);
  bool has_video() const { return video_.stream_type != 0; }
  Lane& clock_lane() { return has_video() ? lanes_.video : lanes_.audio; }
  void catch_up_clock(std::uint32_t time_ms, ByteBuffer& out);
  std::uint64_t tick_clock(std::uint32_t time_ms);

  std::optional<annexb::Config> video_config_;
  std::optional<adts::Config> aac_config_;
  std::uint8_t opus_channels_ = 2;
  Track video_;
  Track audio_;
  Lanes lanes_;
  Lanes lanes_at_start_;  // before the newest Start
  std::uint8_t version_ = 0;
  bool tables_due_ = true;
  std::uint32_t tables_ms_ = 0;            // when tables were written last
  std::optional<std::uint32_t> clock_ms_;  // of the newest PCR
  ByteBuffer frame_;                       // a PES packet under way
};

}  // namespace weir::mpegts
