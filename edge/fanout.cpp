#include "edge/fanout.h"

#include "common/check.h"
#include "common/log.h"
#include "common/rtmp/server.h"

namespace weir {

namespace {
constexpr std::chrono::seconds kLookAround{1};

// Whether a format for audio alone is for that codec, as far as it is known.
bool carries(Format format, flv::Codec audio) {
  if (audio == flv::Codec::Unknown) return true;
  if (format == Format::Aac) return audio == flv::Codec::Aac;
  if (format == Format::Mp3) return audio == flv::Codec::Mp3;
  return true;
}
}  // namespace

Fanout::Fanout(Context context, std::string key, std::uint64_t subscription)
    : context_(context),
      key_(std::move(key)),
      subscription_(subscription),
      changed_(context.loop),
      flush_timer_(*this) {
  loop().arm(*this, loop().in(kLookAround));
}

Fanout::~Fanout() {
  INVARIANT(waiting_ == 0, key_);
  while (!viewers_.empty()) end(*viewers_.back());
}

void Fanout::hear(StreamNews news) {
  news_ = std::move(news);
  if (news_.sampled && !sampled_ && !viewers_.empty()) sampled_ = news_.sampled;
  if (news_.over) {
    say_farewell();
  } else if (!viewers_.empty()) {
    schedule(news_.urgent);
  }
  if (waiting_ > 0) changed_.notify();
}

void Fanout::schedule(bool urgent) {
  if (flush_due_ || (flush_timer_.armed() && !urgent)) return;
  const auto now = loop().now();
  MergeWindow& window = context_.window;
  window.review(loop().utilisation(), now);
  const auto due =
      std::max(flushed_ + window.current(), urgent ? now : now + window.audio_patience());
  if (due > now) {
    loop().arm(flush_timer_, due);
    return;
  }
  flush_timer_.disarm();
  flush_due_ = true;
  loop().at_turn_end(*this);
}

void Fanout::turn_ended() {
  if (std::exchange(flush_due_, false)) flush();
  const bool somebody_left = !ended_.empty();
  ended_.clear();
  if (!somebody_left || !idle() || !on_idle) return;
  const auto tell = on_idle;  // it destroys this
  tell();
}

void Fanout::flush() {
  flushed_ = loop().now();
  // Backwards: ending one moves the last into its place.
  for (std::size_t i = viewers_.size(); i-- > 0;) {
    Viewer& viewer = *viewers_[i];
    if (!viewer.flush(view(viewer.format()))) end(viewer);
  }
  if (sampled_) context_.metrics.added_latency.add(Clock::now() - *sampled_);
  sampled_.reset();
}

Task<Result<void>> Fanout::startable(Format format, Deadline deadline) {
  ++waiting_;
  Result<void> result;
  while (true) {
    if (news_.over) {
      result = std::unexpected(*news_.over);
      break;
    }
    if (!carries(format, news_.audio_codec)) {
      result = fail(Errc::NotFound, "the stream's audio is another");
      break;
    }
    if (view(format).keyframe) break;
    auto changed = co_await changed_.wait(deadline);
    if (!changed) {
      result = changed;
      break;
    }
  }
  --waiting_;
  co_return result;
}

void Fanout::admit(Format format, Arrival arrival) {
  auto& metrics = context_.metrics.of(format);
  metrics.joins->add();
  metrics.viewers->Increment();
  auto viewer = std::make_unique<Viewer>(*this, format, std::move(arrival), view(format));
  viewer->index = viewers_.size();
  viewers_.push_back(std::move(viewer));
  Viewer& admitted = *viewers_.back();
  if (!admitted.flush(view(format))) end(admitted);
}

void Fanout::end(Viewer& viewer) {
  auto& metrics = context_.metrics;
  const auto lived = std::chrono::duration_cast<milliseconds>(loop().now() - viewer.joined());
  log::info("viewer ended", {{"id", viewer.id()},
                             {"peer", viewer.peer().text()},
                             {"stream", key_},
                             {"protocol", name(viewer.format())},
                             {"bytes", viewer.sent()},
                             {"seconds", static_cast<double>(lived.count()) / 1000},
                             {"reason", name(viewer.why().code)},
                             {"error", viewer.why().text}});
  metrics.of(viewer.format()).viewers->Decrement();
  metrics.viewer_ended(name(viewer.why().code));
  viewer.over();
  const std::size_t index = viewer.index;
  ended_.push_back(std::move(viewers_[index]));
  if (index + 1 != viewers_.size()) {
    viewers_[index] = std::move(viewers_.back());
    viewers_[index]->index = index;
  }
  viewers_.pop_back();
  loop().at_turn_end(*this);
}

void Fanout::say_farewell() {
  const ByteBuffer unpublished = rtmp::unpublish_messages(rtmp::kMediaStreamId);
  const bool leaving = news_.over->code == Errc::Cancelled;
  const ByteBuffer reconnect = rtmp::reconnect_request("This server goes away.");
  ByteBuffer close;
  websocket::append_close(close,
                          leaving ? websocket::CloseCode::GoingAway : websocket::CloseCode::Normal);
  for (std::size_t i = viewers_.size(); i-- > 0;) {
    Viewer& viewer = *viewers_[i];
    viewer.set_why(*news_.over);
    if (viewer.format() == Format::Rtmp)
      viewer.farewell(leaving && viewer.reconnects() ? reconnect : unpublished);
    if (is_websocket(viewer.format())) viewer.farewell(close);
    end(viewer);
  }
}

void Fanout::count_sent(Format format, std::size_t bytes) {
  auto& metrics = context_.metrics.of(format);
  metrics.bytes->add(bytes);
  metrics.flushes->add();
}

void Fanout::expired() {
  look_around();
  loop().arm(*this, loop().in(kLookAround));
}

void Fanout::look_around() {
  for (std::size_t i = viewers_.size(); i-- > 0;) {
    Viewer& viewer = *viewers_[i];
    if (viewer.stalled(loop().now()) < context_.options.stall_timeout) continue;
    viewer.set_why({Errc::Timeout, "viewer took nothing for too long"});
    end(viewer);
  }
}

}  // namespace weir
