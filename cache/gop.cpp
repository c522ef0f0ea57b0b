#include "cache/gop.h"

#include <algorithm>

namespace weir {

namespace {

// Places of headers: by kind, then by track.
constexpr int kTracks = 256;
constexpr int kMetadata = 0;
constexpr int kVideoHeader = 1 * kTracks;
constexpr int kVideoColour = 2 * kTracks;
constexpr int kAudioHeader = 3 * kTracks;
constexpr int kAudioChannels = 4 * kTracks;

}  // namespace

Gop::Role Gop::add(const flv::Tag& tag) {
  if (tag.body.empty()) return Role::Skip;
  switch (tag.type) {
    case flv::TagType::Video: return add_video(tag);
    case flv::TagType::Audio: return add_audio(tag);
    case flv::TagType::Script: break;
  }
  if (flv::is_metadata(tag.body)) return add_header(kMetadata, tag);
  return add_media(tag, false);
}

Gop::Role Gop::add_video(const flv::Tag& tag) {
  const auto info = flv::inspect_video(tag.body);
  last_video_ms_ = tag.timestamp_ms;
  if (info.codec != flv::Codec::Unknown) video_codec_ = info.codec;
  if (info.sequence_header) return add_header(kVideoHeader + info.track, tag);
  if (info.metadata) return add_header(kVideoColour + info.track, tag);
  return add_media(tag, info.keyframe);
}

Gop::Role Gop::add_audio(const flv::Tag& tag) {
  const auto info = flv::inspect_audio(tag.body);
  if (info.codec != flv::Codec::Unknown) audio_codec_ = info.codec;
  if (info.sequence_header) return add_header(kAudioHeader + info.track, tag);
  if (info.channel_config) return add_header(kAudioChannels + info.track, tag);
  if (!last_video_ms_) last_video_ms_ = tag.timestamp_ms;
  const auto since_video = static_cast<std::int32_t>(tag.timestamp_ms - *last_video_ms_);
  const bool audio_only =
      !expects(flv::TagType::Video) || since_video > static_cast<std::int32_t>(kAudioOnlyAfterMs);
  return add_media(tag, audio_only);
}

Gop::Role Gop::add_header(int place, const flv::Tag& tag) {
  auto found = std::ranges::lower_bound(*headers_, place, {}, &Header::place);
  const bool known = found != headers_->end() && found->place == place;
  if (known && std::ranges::equal(found->packet.body, tag.body)) return Role::Skip;
  if (!known && headers_->size() >= kMaxHeaders) return Role::Media;
  auto changed = std::make_shared<Headers>(*headers_);
  const auto at = changed->begin() + (found - headers_->begin());
  if (known)
    at->packet = Packet(tag);
  else
    changed->insert(at, Header{place, Packet(tag)});
  headers_ = std::move(changed);
  // In its place among the packets too, for who starts at the keyframe before it.
  if (!packets_.empty()) add_media(tag, false);
  return Role::Header;
}

Gop::Role Gop::add_media(const flv::Tag& tag, bool keyframe) {
  if (keyframe) {
    packets_.clear();
    bytes_ = 0;
    keyframe_headers_ = headers_;
  }
  if (keyframe || !packets_.empty()) {
    packets_.emplace_back(tag);
    bytes_ += tag.body.size();
    if (bytes_ > max_bytes_) interrupt();
  }
  return keyframe ? Role::Keyframe : Role::Media;
}

bool Gop::expects(flv::TagType type) const {
  const bool video = type == flv::TagType::Video;
  if ((video ? video_codec_ : audio_codec_) != flv::Codec::Unknown) return true;
  if (headers_->empty() || headers_->front().place != kMetadata) return true;
  const std::string_view metadata = as_text(headers_->front().packet.body);
  return metadata.find(video ? "videocodecid" : "audiocodecid") != std::string_view::npos;
}

void Gop::interrupt() {
  packets_.clear();
  bytes_ = 0;
}

std::vector<flv::Tag> Gop::tags_of(const Headers& headers) {
  std::vector<flv::Tag> tags;
  tags.reserve(headers.size());
  for (const auto& header : headers) tags.push_back(header.packet.tag());
  return tags;
}

}  // namespace weir
