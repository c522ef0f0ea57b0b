#include "edge/stream_hub.h"

#include "common/check.h"

namespace weir {

namespace {

// Publisher ids name their loop, so that word for them finds its way.
constexpr int kLoopShift = 48;
std::size_t loop_of(std::uint64_t publisher) {
  return static_cast<std::size_t>(publisher >> kLoopShift);
}

}  // namespace

StreamHub::~StreamHub() = default;

std::vector<StreamReport> StreamHub::reports() const {
  std::vector<StreamReport> reports;
  for (const auto& [key, stream] : home_)
    if (!stream->finished()) reports.push_back(stream->report());
  return reports;
}

StreamHub& StreamHub::home_of(const std::string& key) const {
  return *hubs_[stable_hash(key) % hubs_.size()];
}

// ------------------------------------------------------------------------------------ the viewers'
// loop

Task<Result<Fanout*>> StreamHub::join(StreamRequest request, Format format) {
  const std::string key = request.name.key();
  Fanout& found = fanout(key);
  StreamHub& home = home_of(key);
  auto ask = [&home, loop = loop().index(), subscription = found.subscription(), format,
              request]() mutable {
    home.loop().spawn(home.subscribe(loop, subscription, format, std::move(request)));
  };
  if (!found.view(format).keyframe) home.loop().post(std::move(ask));
  auto ready = co_await found.startable(format, loop().in(options().start_timeout));
  if (ready) co_return &found;
  drop_if_idle(key);
  // Its home would have said so in a moment: a viewer is not told of our clocks.
  if (ready.error().code == Errc::Timeout) co_return fail(Errc::NotFound, "stream not found");
  co_return std::unexpected(ready.error());
}

Fanout& StreamHub::fanout(const std::string& key) {
  auto& found = fanouts_[key];
  if (!found) {
    const Fanout::Context context{loop(), options(), context_.metrics, context_.window};
    found = std::make_unique<Fanout>(context, key, next_id_++);
    found->on_idle = [this, key] { drop_if_idle(key); };
  }
  return *found;
}

void StreamHub::hear(const std::string& key, std::uint64_t subscription, StreamNews news) {
  auto found = fanouts_.find(key);
  if (found != fanouts_.end() && found->second->subscription() == subscription) {
    found->second->hear(std::move(news));
    return;
  }
  // Nobody here wants it any more: the word of that may have overtaken the wish.
  StreamHub& home = home_of(key);
  home.loop().post([&home, key, loop = loop().index(), subscription] {
    home.unsubscribe(key, loop, subscription);
  });
}

void StreamHub::drop_if_idle(const std::string& key) {
  auto found = fanouts_.find(key);
  if (found == fanouts_.end() || !found->second->idle()) return;
  StreamHub& home = home_of(key);
  home.loop().post(
      [&home, key, loop = loop().index(), subscription = found->second->subscription()] {
        home.unsubscribe(key, loop, subscription);
      });
  fanouts_.erase(found);
}

// ---------------------------------------------------------------------------------- the
// publisher's loop

Task<Result<std::unique_ptr<StreamHub::Publication>>> StreamHub::publish(
    StreamRequest request, std::function<void(Error)> ended) {
  const std::string key = request.name.key();
  StreamHub& home = home_of(key);
  const std::uint64_t id = static_cast<std::uint64_t>(loop().index()) << kLoopShift | next_id_++;
  publishers_[id] = std::move(ended);
  auto at_home =
      CallTask(home.loop(), [&home, id, &request] { return home.publish_at_home(id, request); });
  auto accepted = co_await at_home;
  if (!accepted) {
    publishers_.erase(id);
    co_return std::unexpected(accepted.error());
  }
  co_return std::unique_ptr<Publication>(new Publication(*this, home, key, id));
}

StreamHub::Publication::Publication(StreamHub& hub, StreamHub& home, std::string key,
                                    std::uint64_t id)
    : hub_(hub), home_(home), key_(std::move(key)), id_(id) {}

StreamHub::Publication::~Publication() {
  hub_.publishers_.erase(id_);
  home_.loop().post([&home = home_, key = key_, id = id_] { home.unpublish(key, id); });
}

void StreamHub::Publication::ingest(const flv::Tag& tag) {
  if (&home_ == &hub_) {
    home_.ingest(key_, id_, tag);
    return;
  }
  home_.loop().post([&home = home_, key = key_, id = id_, packet = Packet(tag)] {
    home.ingest(key, id, packet.tag());
  });
}

// ------------------------------------------------------------------------------------------ the
// home loop

// Waits while a stream of that name is coming to its end, so that who comes just then gets a new
// one.
Task<void> StreamHub::past_end(const std::string& key) {
  while (true) {
    auto found = home_.find(key);
    if (found == home_.end() || !found->second->finished()) co_return;
    auto gone = co_await gone_.wait(Deadline::max());
    if (!gone) co_return;
  }
}

Task<void> StreamHub::subscribe(int loop, std::uint64_t subscription, Format format,
                                StreamRequest request) {
  const std::string key = request.name.key();
  co_await past_end(key);
  auto missing = missing_.find(key);
  if (missing != missing_.end() && missing->second.until > context_.loop.now() &&
      !home_.contains(key)) {
    StreamNews news;
    news.over = missing->second.why;
    deliver(key, loop, subscription, std::move(news));
    co_return;
  }
  home_stream(request).stream().subscribe(loop, subscription, format);
}

void StreamHub::unsubscribe(const std::string& key, int loop, std::uint64_t subscription) {
  auto found = home_.find(key);
  if (found != home_.end()) found->second->stream().unsubscribe(loop, subscription);
}

Task<Result<void>> StreamHub::publish_at_home(std::uint64_t publisher, StreamRequest request) {
  const std::string key = request.name.key();
  co_await past_end(key);
  HomeStream& stream = home_stream(request);
  auto accepted = co_await stream.publish(publisher, std::move(request));
  co_return accepted;
}

void StreamHub::ingest(const std::string& key, std::uint64_t publisher, const flv::Tag& tag) {
  auto found = home_.find(key);
  if (found != home_.end()) found->second->ingest(publisher, tag);
}

void StreamHub::unpublish(const std::string& key, std::uint64_t publisher) {
  auto found = home_.find(key);
  if (found != home_.end()) found->second->unpublish(publisher);
}

HomeStream& StreamHub::home_stream(const StreamRequest& request) {
  const std::string key = request.name.key();
  auto& found = home_[key];
  if (found) return *found;
  missing_.erase(key);
  const HomeStream::Context context{context_.loop, context_.options, context_.metrics,
                                    context_.routing, context_.resolver};
  auto deliver_news = [this, key](int loop, std::uint64_t subscription, StreamNews news) {
    deliver(key, loop, subscription, std::move(news));
  };
  auto evict_publisher = [this](std::uint64_t publisher, Error why) { evict(publisher, why); };
  auto gone = [this, key] {
    auto stream = home_.extract(key);
    const Stream& ended = stream.mapped()->stream();
    const Errc why = ended.over()->code;
    const bool sought = why != Errc::Closed && why != Errc::Cancelled;
    if (!ended.started() && sought) remember_missing(key, *ended.over());
    gone_.notify();
  };
  found = std::make_unique<HomeStream>(context, key, request, deliver_news, evict_publisher, gone);
  return *found;
}

void StreamHub::remember_missing(const std::string& key, const Error& why) {
  const auto now = context_.loop.now();
  if (missing_.size() >= options().max_missing)
    std::erase_if(missing_, [now](const auto& entry) { return entry.second.until <= now; });
  if (missing_.size() < options().max_missing)
    missing_[key] = {why, now + context_.options.negative_ttl};
}

void StreamHub::deliver(const std::string& key, int loop, std::uint64_t subscription,
                        StreamNews news) {
  StreamHub& to = *hubs_[static_cast<std::size_t>(loop)];
  if (&to == this) {
    hear(key, subscription, std::move(news));
    return;
  }
  to.loop().post([&to, key, subscription, news = std::move(news)]() mutable {
    to.hear(key, subscription, std::move(news));
  });
}

void StreamHub::evict(std::uint64_t publisher, const Error& why) {
  StreamHub& to = *hubs_[loop_of(publisher)];
  to.loop().post([&to, publisher, why] {
    auto found = to.publishers_.find(publisher);
    if (found != to.publishers_.end()) found->second(why);
  });
}

}  // namespace weir
