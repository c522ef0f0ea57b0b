#include "edge/stream_media.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "common/wire/amf0.h"
#include "common/wire/codec.h"

namespace weir {

namespace {

constexpr int kMaxSide = 65'536;
constexpr int kMaxRate = 1'000'000;

// ISO 14496-10 A.2.
std::string_view avc_profile(int profile) {
  switch (profile) {
    case 66: return "Baseline";
    case 77: return "Main";
    case 88: return "Extended";
    case 100: return "High";
    case 110: return "High 10";
    case 122: return "High 4:2:2";
    case 244: return "High 4:4:4";
    default: return "";
  }
}

// ISO 14496-3 table 1.17.
std::string_view aac_profile(int object_type) {
  switch (object_type) {
    case 1: return "Main";
    case 2: return "LC";
    case 3: return "SSR";
    case 4: return "LTP";
    case 5: return "HE";
    case 29: return "HEv2";
    default: return "";
  }
}

// ISO 14496-3 table 1.18.
int aac_sample_rate(int index) {
  constexpr int kRates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                            22050, 16000, 12000, 11025, 8000,  7350};
  return index < static_cast<int>(std::size(kRates)) ? kRates[index] : 0;
}

// A number of the stream's onMetaData; 0 when it says none, or nonsense.
int metadata_number(const Gop& gop, std::string_view name, int most) {
  for (const flv::Tag& tag : gop.headers()) {
    if (tag.type != flv::TagType::Script || !flv::is_metadata(tag.body)) continue;
    const auto values = amf0::decode(tag.body);
    if (!values) continue;
    for (const amf0::Value& value : *values) {
      const amf0::Value* found = value.is_object() ? value.find(name) : nullptr;
      const double number = found != nullptr ? found->number() : 0;
      if (number >= 1 && number <= most) return static_cast<int>(std::lround(number));
    }
  }
  return 0;
}

// The codec configuration of a kind; empty when there is none.
template <class Inspect>
ByteView configuration(const Gop& gop, flv::TagType type, Inspect inspect) {
  for (const flv::Tag& tag : gop.headers()) {
    if (tag.type != type) continue;
    const auto info = inspect(tag.body);
    if (info.sequence_header) return info.payload;
  }
  return {};
}

}  // namespace

std::optional<VideoReport> video_of(const Gop& gop) {
  if (gop.video_codec() == flv::Codec::Unknown) return std::nullopt;
  VideoReport report{.codec = std::string(name(gop.video_codec())), .profile = {}, .level = {}};
  const ByteView record = configuration(gop, flv::TagType::Video,
                                        [](ByteView body) { return flv::inspect_video(body); });
  // ISO 14496-15 5.3.3.1.2: version, profile, compatibility, level.
  if (gop.video_codec() == flv::Codec::H264 && record.size() >= 4) {
    report.profile = avc_profile(record[1]);
    report.level = fmt::format("{}.{}", record[3] / 10, record[3] % 10);
  }
  report.width = metadata_number(gop, "width", kMaxSide);
  report.height = metadata_number(gop, "height", kMaxSide);
  return report;
}

std::optional<AudioReport> audio_of(const Gop& gop) {
  if (gop.audio_codec() == flv::Codec::Unknown) return std::nullopt;
  AudioReport report{.codec = std::string(name(gop.audio_codec())), .profile = {}};
  const ByteView config = configuration(gop, flv::TagType::Audio,
                                        [](ByteView body) { return flv::inspect_audio(body); });
  // ISO 14496-3 1.6.2.1: five bits of object type, four of frequency, four of channels.
  if (gop.audio_codec() == flv::Codec::Aac && config.size() >= 2) {
    const unsigned bits = load_be16(config.data());
    report.profile = aac_profile(static_cast<int>(bits >> 11));
    report.sample_rate = aac_sample_rate(static_cast<int>(bits >> 7 & 0x0f));
    report.channels = static_cast<int>(bits >> 3 & 0x0f);
  }
  if (report.sample_rate == 0)
    report.sample_rate = metadata_number(gop, "audiosamplerate", kMaxRate);
  return report;
}

StreamReport report_of(const Stream& stream) {
  StreamReport report;
  report.key = stream.key();
  report.frames = stream.frames();
  report.traffic = stream.traffic();
  report.rate = stream.rate();
  report.video = video_of(stream.gop());
  report.audio = audio_of(stream.gop());
  return report;
}

}  // namespace weir
