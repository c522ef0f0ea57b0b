#include "edge/home_stream.h"

#include "common/log.h"
#include "edge/stream_media.h"

namespace weir {

namespace {
constexpr milliseconds kReview{200};
}  // namespace

HomeStream::HomeStream(Context context, std::string key, StreamRequest request,
                       Stream::Deliver deliver, Evict evict, std::function<void()> on_gone)
    : context_(context),
      request_(std::move(request)),
      evict_(std::move(evict)),
      on_gone_(std::move(on_gone)),
      stream_(context.loop, std::move(key), context.options, context.metrics, std::move(deliver)),
      pulling_(context.loop),
      forwarding_(context.loop),
      born_(context.loop.now()) {
  context_.loop.arm(*this, born_);
}

HomeStream::~HomeStream() = default;

void HomeStream::expired() {
  review();
  if (!finished()) context_.loop.arm(*this, context_.loop.in(kReview));
}

void HomeStream::cancelled() { finish({Errc::Cancelled, "shutting down"}); }

StreamReport HomeStream::report() const {
  StreamReport report = report_of(stream_);
  const bool pulled = puller_ && pulling_.running();
  report.source = publisher_ != 0 ? "publisher" : pulled ? "upstream" : "none";
  if (pulled) report.upstream = puller_->upstream();
  report.age = std::chrono::duration_cast<milliseconds>(context_.loop.now() - born_);
  return report;
}

void HomeStream::review() {
  stream_.sample_rate();
  if (auto why = verdict()) {
    finish(*why);
    return;
  }
  const bool to_be_pulled = publisher_ == 0 && !context_.options.standalone;
  if (to_be_pulled && !pulling_.running() && stream_.watched()) start_puller();
}

// Why the stream should end now, if it should.
std::optional<Error> HomeStream::verdict() const {
  const EdgeOptions& options = context_.options;
  const auto now = context_.loop.now();
  if (publisher_ != 0) return std::nullopt;
  if (!stream_.watched() && now - stream_.unwatched_since() >= options.linger)
    return Error{Errc::Closed, "nobody watches"};
  const bool refused = puller_ && puller_->refused() && !pulling_.running();
  if (refused && !stream_.started()) return last_error_;
  if (!stream_.started() && now - born_ >= options.start_timeout)
    return last_error_.value_or(Error{Errc::NotFound, "stream not found"});
  if (stream_.started() && now - *stream_.last_packet() >= options.gone_timeout)
    return last_error_.value_or(Error{Errc::Closed, "stream ended"});
  return std::nullopt;
}

void HomeStream::start_puller() {
  puller_ = std::make_unique<Puller>(Puller::Context{stream_, context_.options, context_.metrics,
                                                     context_.routing, context_.resolver},
                                     request_);
  pulling_.start(run_puller());
}

Task<void> HomeStream::run_puller() {
  Error ended = co_await puller_->run();
  last_error_ = ended;
  if (!finished()) context_.loop.arm(*this, context_.loop.now());
}

bool HomeStream::stale() const {
  // One just accepted may take its time with the first packet.
  const auto last = std::max(accepted_at_, stream_.last_packet().value_or(accepted_at_));
  return context_.loop.now() - last >= context_.options.publisher_stale;
}

Task<Result<void>> HomeStream::publish(std::uint64_t publisher, StreamRequest request) {
  ++publishing_;
  auto accepted = co_await accept_publisher(publisher, std::move(request));
  --publishing_;
  co_return accepted;
}

Task<Result<void>> HomeStream::accept_publisher(std::uint64_t publisher, StreamRequest request) {
  if (finished()) co_return fail(Errc::Unavailable, "stream is ending");
  if (publisher_ != 0 && !stale()) co_return fail(Errc::Busy, "stream is being published already");
  if (publisher_ != 0) {
    evict_(publisher_, {Errc::Cancelled, "displaced by a new publisher"});
    unpublish(publisher_);
  }
  publisher_ = publisher;
  accepted_at_ = context_.loop.now();
  context_.metrics.publishers.Increment();
  if (puller_) puller_->stop();
  co_await pulling_.join();
  co_await forwarding_.join();  // of the one displaced
  if (publisher_ != publisher) co_return fail(Errc::Cancelled, "displaced by a new publisher");
  stream_.begin_source();
  if (context_.options.standalone) co_return Result<void>{};
  forwarder_ = std::make_unique<Forwarder>(
      Forwarder::Context{stream_, context_.options, context_.routing, context_.resolver},
      std::move(request));
  forwarding_.start(run_forwarder());
  auto accepted = co_await forwarder_->accepted(Deadline::max());
  if (!accepted) unpublish(publisher);
  co_return accepted;
}

Task<void> HomeStream::run_forwarder() {
  Error ended = co_await forwarder_->run();
  last_error_ = ended;
  if (publisher_ != 0 && forwarder_->was_accepted()) evict_(publisher_, ended);
}

void HomeStream::ingest(std::uint64_t publisher, const flv::Tag& tag) {
  if (publisher == publisher_) stream_.ingest(tag);
}

void HomeStream::unpublish(std::uint64_t publisher) {
  if (publisher != publisher_) return;
  publisher_ = 0;
  last_error_ = Error{Errc::Closed, "publisher left"};
  context_.metrics.publishers.Decrement();
  if (forwarder_) forwarder_->stop();
}

void HomeStream::finish(const Error& why) {
  if (finished()) return;
  stream_.finish(why);
  log::info("stream ended",
            {{"stream", stream_.key()}, {"reason", name(why.code)}, {"error", why.text}});
  if (publisher_ != 0) {
    evict_(publisher_, why);
    unpublish(publisher_);
  }
  if (puller_) puller_->stop();
  if (forwarder_) forwarder_->stop();
  context_.loop.spawn(wind_up());
}

Task<void> HomeStream::wind_up() {
  co_await pulling_.join();
  co_await forwarding_.join();
  leave();
}

// on_gone destroys this stream. It has a turn of its own: loops hear of the end before, and so do
// publishers.
void HomeStream::leave() {
  context_.loop.post([this] {
    if (publishing_ > 0) {
      leave();
      return;
    }
    const auto gone = std::move(on_gone_);
    gone();
  });
}

}  // namespace weir
