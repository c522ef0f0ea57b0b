#include "common/wire/mpegts_muxer.h"

#include <algorithm>

namespace weir::mpegts {
namespace {

// ISO 13818-1 table 2-34.
constexpr std::uint8_t kMpeg1Audio = 0x03;
constexpr std::uint8_t kMpeg2Audio = 0x04;
constexpr std::uint8_t kPrivateData = 0x06;
constexpr std::uint8_t kAdtsAac = 0x0f;
constexpr std::uint8_t kH264 = 0x1b;
constexpr std::uint8_t kHevc = 0x24;

constexpr std::uint8_t kVideoStreamId = 0xe0;
constexpr std::uint8_t kAudioStreamId = 0xc0;
constexpr std::uint8_t kPrivateStreamId = 0xbd;

constexpr std::uint32_t kProgram = 1;
constexpr std::size_t kRoomForHeader = 14;  // of audio, which is shown when it is decoded

std::int32_t distance(std::uint32_t from_ms, std::uint32_t to_ms) {
  return static_cast<std::int32_t>(to_ms - from_ms);
}

std::uint64_t ticks(std::uint32_t time_ms, std::int32_t offset_ms) {
  const std::int64_t time = std::int64_t{time_ms} + offset_ms;
  return static_cast<std::uint64_t>(time * 90) & kTimestampMask;
}

// The channel configuration of an OpusHead (RFC 7845 5.1) in MPEG-TS: their number, for the layouts
// that have a name.
std::uint8_t opus_channels(ByteView head) {
  constexpr std::uint8_t kStereo = 2;
  if (head.size() < 10 || as_text(head.first(8)) != "OpusHead") return kStereo;
  return head[9] >= 1 && head[9] <= 8 ? head[9] : kStereo;
}

// The access unit header of the draft "Opus in MPEG-TS" 0.1.3, which is what players read: 0x3ff, no
// trimming, the size in bytes of 255.
void append_opus_header(ByteBuffer& out, std::size_t size) {
  out.push_back(0x7f);
  out.push_back(0xe0);
  for (; size >= 255; size -= 255) out.push_back(255);
  out.push_back(static_cast<std::uint8_t>(size));
}

void append_be16(ByteBuffer& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

// Begins a section whose length is filled in by close_section(), 2.4.4.3.
ByteBuffer open_section(std::uint8_t table, std::uint32_t id, std::uint8_t version) {
  ByteBuffer section{table, 0, 0};
  append_be16(section, id);
  section.push_back(static_cast<std::uint8_t>(0xc1 | version << 1));
  append_be16(section, 0);  // the first section of one
  return section;
}

void close_section(ByteBuffer& section) {
  constexpr std::size_t kCrc = 4;
  store_be16(section.data() + 1, 0xb000 | static_cast<std::uint32_t>(section.size() - 3 + kCrc));
}

}  // namespace

void Muxer::configure(const flv::Tag& header) {
  if (header.type == flv::TagType::Video) {
    const auto info = flv::inspect_video(header.body);
    if (info.sequence_header && info.track == 0) configure_video(info);
  } else if (header.type == flv::TagType::Audio) {
    const auto info = flv::inspect_audio(header.body);
    if (info.sequence_header && info.track == 0) configure_audio(info);
  }
}

void Muxer::configure_video(const flv::VideoInfo& info) {
  const bool hevc = info.codec == flv::Codec::Hevc;
  if (!hevc && info.codec != flv::Codec::H264) return;
  const auto syntax = hevc ? annexb::Syntax::Hevc : annexb::Syntax::H264;
  if (auto config = annexb::parse_config(syntax, info.payload)) video_config_ = std::move(config);
}

// A header may be left over from a codec that was in use before: it announces a track only when
// there is none.
void Muxer::configure_audio(const flv::AudioInfo& info) {
  if (info.codec == flv::Codec::Aac) {
    if (auto config = adts::parse_config(info.payload)) aac_config_ = config;
    if (aac_config_ && audio_ == Track{}) declare(audio_, {.stream_type = kAdtsAac});
  } else if (info.codec == flv::Codec::Opus) {
    opus_channels_ = opus_channels(info.payload);
    expect_audio(info.codec);
  }
}

void Muxer::expect_audio(flv::Codec codec) {
  if (audio_ != Track{}) return;
  if (codec == flv::Codec::Mp3) declare(audio_, {.stream_type = kMpeg1Audio});
  if (codec == flv::Codec::Opus)
    declare(audio_, {.stream_type = kPrivateData, .channels = opus_channels_});
}

void Muxer::declare(Track& track, Track now) {
  if (track == now) return;
  track = now;
  tables_due_ = true;
  version_ = (version_ + 1) & 0x1f;
}

Remuxer::Wrote Muxer::write(const flv::Tag& tag, bool keyframe, ByteBuffer& out) {
  switch (tag.type) {
    case flv::TagType::Video: return write_video(tag, keyframe, out);
    case flv::TagType::Audio: return write_audio(tag, keyframe, out);
    case flv::TagType::Script: break;
  }
  return Wrote::Nothing;
}

Remuxer::Wrote Muxer::write_video(const flv::Tag& tag, bool keyframe, ByteBuffer& out) {
  const auto info = flv::inspect_video(tag.body);
  if (info.track != 0) return Wrote::Nothing;
  if (info.sequence_header) configure_video(info);
  const bool picture = !info.sequence_header && !info.metadata && !info.command &&
                       !info.end_of_sequence && !info.payload.empty();
  const bool hevc = info.codec == flv::Codec::Hevc;
  const auto syntax = hevc ? annexb::Syntax::Hevc : annexb::Syntax::H264;
  const bool known =
      video_config_ && video_config_->syntax == syntax && (hevc || info.codec == flv::Codec::H264);
  if (!picture || !known) return Wrote::Nothing;

  const PesTimes times{
      .pts = ticks(tag.timestamp_ms, info.composition_time_ms + std::int32_t{kLeadMs}),
      .dts = ticks(tag.timestamp_ms, kLeadMs)};
  const std::size_t header = pes_header_size(times);
  frame_.assign(header, 0);
  if (!annexb::append_picture(frame_, *video_config_, info.payload, info.keyframe))
    return Wrote::Nothing;
  write_pes_header(frame_.data(), kVideoStreamId, times, frame_.size() - header);

  declare(video_, {.stream_type = hevc ? kHevc : kH264});
  const Wrote wrote = begin(tag.timestamp_ms, keyframe, out);
  const Marks marks{.random_access = info.keyframe, .clock = tick_clock(tag.timestamp_ms)};
  append_pes(out, lanes_.video, frame_, marks);
  return wrote;
}

Remuxer::Wrote Muxer::write_audio(const flv::Tag& tag, bool keyframe, ByteBuffer& out) {
  const auto info = flv::inspect_audio(tag.body);
  if (info.track != 0) return Wrote::Nothing;
  if (info.sequence_header) configure_audio(info);
  const bool sound = !info.sequence_header && !info.channel_config && !info.end_of_sequence &&
                     !info.payload.empty();
  if (!sound) return Wrote::Nothing;
  frame_.assign(kRoomForHeader, 0);
  const auto track = append_audio_frame(info);
  const std::size_t size = frame_.size() - kRoomForHeader;
  if (!track || size > kMaxMeasuredFrame) return Wrote::Nothing;
  const std::uint64_t time = ticks(tag.timestamp_ms, kLeadMs);
  const bool elementary = track->stream_type != kPrivateData;
  write_pes_header(frame_.data(), elementary ? kAudioStreamId : kPrivateStreamId,
                   {.pts = time, .dts = time}, size);

  declare(audio_, *track);
  const bool rested = distance(tables_ms_, tag.timestamp_ms) >= kTablesEveryMs;
  const bool start = (keyframe || !has_video()) && (tables_due_ || rested);
  const Wrote wrote = begin(tag.timestamp_ms, start, out);
  Marks marks{.random_access = wrote == Wrote::Start};
  const bool clock_due = distance(*clock_ms_, tag.timestamp_ms) >= kClockEveryMs / 2;
  if (!has_video() && (clock_due || wrote == Wrote::Start))
    marks.clock = tick_clock(tag.timestamp_ms);
  else if (clock_due)
    append_marks(out, lanes_.video, {.clock = tick_clock(tag.timestamp_ms)});
  append_pes(out, lanes_.audio, frame_, marks);
  return wrote;
}

std::optional<Muxer::Track> Muxer::append_audio_frame(const flv::AudioInfo& info) {
  const ByteView frame = info.payload;
  Track track;
  switch (info.codec) {
    case flv::Codec::Aac:
      if (!aac_config_ || frame.size() > adts::kMaxFrame) return std::nullopt;
      track.stream_type = kAdtsAac;
      frame_.resize(frame_.size() + adts::kHeaderSize);
      adts::write_header(frame_.data() + frame_.size() - adts::kHeaderSize, *aac_config_,
                         frame.size());
      break;
    case flv::Codec::Mp3: {
      // Half sampling rates are MPEG-2's.
      const bool mpeg1 = frame.size() < 2 || (frame[1] & 0x18) == 0x18;
      track.stream_type = mpeg1 ? kMpeg1Audio : kMpeg2Audio;
      break;
    }
    case flv::Codec::Opus:
      track = {.stream_type = kPrivateData, .channels = opus_channels_};
      append_opus_header(frame_, frame.size());
      break;
    default: return std::nullopt;
  }
  append(frame_, frame);
  return track;
}

// What goes before the frame: tables, and the clock of the time since the last one.
Remuxer::Wrote Muxer::begin(std::uint32_t time_ms, bool start, ByteBuffer& out) {
  if (start) lanes_at_start_ = lanes_;
  if (start || tables_due_) {
    append_tables(out);
    tables_due_ = false;
    tables_ms_ = time_ms;
  }
  catch_up_clock(time_ms, out);
  return start ? Wrote::Start : Wrote::Media;
}

void Muxer::append_tables(ByteBuffer& out) {
  ByteBuffer pat = open_section(0x00, 1, 0);
  append_be16(pat, kProgram);
  append_be16(pat, 0xe000 | kPmtPid);
  close_section(pat);
  append_section(out, lanes_.pat, pat);

  ByteBuffer pmt = open_section(0x02, kProgram, version_);
  append_be16(pmt, 0xe000u | clock_lane().pid);
  append_be16(pmt, 0xf000);  // no descriptors of the program
  if (has_video()) {
    pmt.push_back(video_.stream_type);
    append_be16(pmt, 0xe000 | kVideoPid);
    append_be16(pmt, 0xf000);
  }
  if (audio_.stream_type == kPrivateData) {
    // Registration and DVB extension descriptors, as in the same draft.
    const ByteBuffer opus{0x05, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, audio_.channels};
    pmt.push_back(audio_.stream_type);
    append_be16(pmt, 0xe000 | kAudioPid);
    append_be16(pmt, 0xf000 | static_cast<std::uint32_t>(opus.size()));
    append(pmt, opus);
  } else if (audio_.stream_type != 0) {
    pmt.push_back(audio_.stream_type);
    append_be16(pmt, 0xe000 | kAudioPid);
    append_be16(pmt, 0xf000);
  }
  close_section(pmt);
  append_section(out, lanes_.pmt, pmt);
}

void Muxer::append_lead_in(ByteBuffer& out) const {
  const Marks gap{.discontinuity = true};
  append_marks(out, lanes_at_start_.pat, gap);
  append_marks(out, lanes_at_start_.pmt, gap);
  if (video_.stream_type != 0) append_marks(out, lanes_at_start_.video, gap);
  if (audio_.stream_type != 0) append_marks(out, lanes_at_start_.audio, gap);
}

// Frames may be further apart than the clock may be.
void Muxer::catch_up_clock(std::uint32_t time_ms, ByteBuffer& out) {
  if (!clock_ms_ || distance(*clock_ms_, time_ms) > kPauseMs) {
    append_marks(out, clock_lane(), {.clock = ticks(time_ms, 0)});
    clock_ms_ = time_ms;
  }
  while (distance(*clock_ms_, time_ms) > kClockEveryMs)
    append_marks(out, clock_lane(), {.clock = tick_clock(*clock_ms_ + kClockEveryMs)});
}

// The clock as of `time_ms`, or as it was when that is earlier.
std::uint64_t Muxer::tick_clock(std::uint32_t time_ms) {
  if (!clock_ms_ || distance(*clock_ms_, time_ms) > 0) clock_ms_ = time_ms;
  return ticks(*clock_ms_, 0);
}

}  // namespace weir::mpegts
