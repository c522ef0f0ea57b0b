#include "edge/stream.h"

namespace weir {

namespace {

// A preamble is written anew when its headers have changed, or when its timestamp has become this
// much older than the keyframe's.
constexpr std::uint32_t kPreambleAgeMs = 1000;

// Every so many packets one is timed on its way to viewers.
constexpr unsigned kTimedPackets = 16;

}  // namespace

Stream::Stream(Loop& loop, std::string key, const EdgeOptions& options, EdgeMetrics& metrics,
               Deliver deliver)
    : loop_(loop),
      key_(std::move(key)),
      options_(options),
      metrics_(metrics),
      deliver_(std::move(deliver)),
      gop_(options.log.max_bytes),
      came_(loop),
      added_(loop),
      rate_(loop.now()),
      unwatched_since_(loop.now()) {
  metrics_.streams.Increment();
}

Stream::~Stream() { metrics_.streams.Decrement(); }

void Stream::begin_source() {
  timeline_.new_source();
  gop_.interrupt();
  await_keyframe_ = true;
}

Gop::Role Stream::ingest(const flv::Tag& tag) {
  last_packet_ = loop_.now();
  metrics_.bytes_received.add(tag.body.size());
  received_ += tag.body.size();
  flv::Tag packet = tag;
  if (packet.type == flv::TagType::Script) packet.body = flv::strip_set_data_frame(packet.body);
  // Metadata is of no moment: ffmpeg takes it for subtitles unless it comes at 0.
  const bool metadata = packet.type == flv::TagType::Script && flv::is_metadata(packet.body);
  packet.timestamp_ms = metadata ? 0 : timeline_.map(packet.type, packet.timestamp_ms);
  const flv::Codec audio = gop_.audio_codec();
  const auto role = gop_.add(packet);
  const bool media = role == Gop::Role::Keyframe || role == Gop::Role::Media;
  if (media && packet.type == flv::TagType::Video) ++frames_;
  if (gop_.audio_codec() != audio) loop_.at_turn_end(*this);
  if (role == Gop::Role::Keyframe) await_keyframe_ = false;
  // Before the first keyframe of a source there is nothing a viewer could decode; headers are kept
  // by the Gop and go before that keyframe.
  const bool early = await_keyframe_ && !(role == Gop::Role::Header && started_);
  if (!early && role != Gop::Role::Skip) append(packet, role);
  return role;
}

void Stream::append(const flv::Tag& packet, Gop::Role role) {
  const bool keyframe = role == Gop::Role::Keyframe;
  const bool old = packet.timestamp_ms - preamble_ms_ > kPreambleAgeMs;
  if (keyframe && (old || preamble_version_ != gop_.headers_version())) {
    const auto headers = gop_.headers();
    for (auto& each : logs_)
      if (each) each->set_preamble(headers, packet.timestamp_ms);
    preamble_version_ = gop_.headers_version();
    preamble_ms_ = packet.timestamp_ms;
  }
  started_ = true;
  if (until_sample_-- == 0) {
    until_sample_ = kTimedPackets - 1;
    if (!sampled_) sampled_ = Clock::now();
  }
  urgent_ = urgent_ || role != Gop::Role::Media || packet.type != flv::TagType::Audio;
  for (auto& each : logs_)
    if (each) each->append(packet, keyframe, loop_.now());
  loop_.at_turn_end(*this);
}

MediaLog& Stream::log(Format format) {
  auto& log = logs_[static_cast<std::size_t>(format)];
  if (!log) {
    log = std::make_unique<MediaLog>(format, options_.log);
    log->fill(gop_, loop_.now());
    preamble_version_ = nullptr;  // the next keyframe writes one for this log too
  }
  return *log;
}

LogView Stream::view(Format format) { return log(format).view(); }

void Stream::subscribe(int loop, std::uint64_t subscription, Format format) {
  auto& entry = subscriptions_[loop];
  if (entry.id != subscription) entry = {.id = subscription, .wants = {}};
  entry.wants[static_cast<std::size_t>(format)] = true;
  log(format);
  loop_.at_turn_end(*this);
  came_.notify();
}

void Stream::unsubscribe(int loop, std::uint64_t subscription) {
  auto found = subscriptions_.find(loop);
  if (found == subscriptions_.end() || found->second.id != subscription) return;
  subscriptions_.erase(found);
  if (subscriptions_.empty()) unwatched_since_ = loop_.now();
}

void Stream::turn_ended() { tell(); }

void Stream::tell() {
  StreamNews news{.views = {},
                  .audio = gop_.expects(flv::TagType::Audio),
                  .video = gop_.expects(flv::TagType::Video),
                  .audio_codec = gop_.audio_codec(),
                  .sampled = std::exchange(sampled_, std::nullopt),
                  .urgent = std::exchange(urgent_, false),
                  .over = over_};
  for (const auto& [loop, subscription] : subscriptions_) {
    for (std::size_t i = 0; i < kFormatCount; ++i)
      news.views[i] = subscription.wants[i] ? logs_[i]->view() : LogView{};
    deliver_(loop, subscription.id, news);
  }
  added_.notify();
}

void Stream::finish(const Error& why) {
  if (over_) return;
  over_ = why;
  tell();  // not at the turn's end: there may be no stream by then
}

}  // namespace weir
