#include "common/wire/bare_audio.h"

namespace weir {

void BareAudio::configure(const flv::Tag& header) {
  if (header.type != flv::TagType::Audio) return;
  const auto info = flv::inspect_audio(header.body);
  if (!info.sequence_header || info.track != 0 || info.codec != flv::Codec::Aac) return;
  if (auto config = adts::parse_config(info.payload)) aac_config_ = config;
}

Remuxer::Wrote BareAudio::write(const flv::Tag& tag, bool, ByteBuffer& out) {
  configure(tag);
  if (tag.type != flv::TagType::Audio) return Wrote::Nothing;
  const auto info = flv::inspect_audio(tag.body);
  const bool sound = info.codec == codec_ && info.track == 0 && !info.sequence_header &&
                     !info.channel_config && !info.end_of_sequence && !info.payload.empty();
  if (!sound) return Wrote::Nothing;
  if (codec_ == flv::Codec::Aac) {
    if (!aac_config_ || info.payload.size() > adts::kMaxFrame) return Wrote::Nothing;
    out.resize(out.size() + adts::kHeaderSize);
    adts::write_header(out.data() + out.size() - adts::kHeaderSize, *aac_config_,
                       info.payload.size());
  }
  append(out, info.payload);
  const auto since = static_cast<std::int32_t>(tag.timestamp_ms - start_ms_.value_or(0));
  if (start_ms_ && since < kStartEveryMs) return Wrote::Media;
  start_ms_ = tag.timestamp_ms;
  return Wrote::Start;
}

}  // namespace weir
