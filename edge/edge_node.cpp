#include "edge/edge_node.h"

#include <algorithm>
#include <iterator>

#include "common/io/ask.h"
#include "edge/http_session.h"
#include "edge/rtmp_session.h"

namespace weir {

namespace {

HttpRelayOptions relay_options(const EdgeOptions& options) {
  HttpRelayOptions relay;
  relay.node_id = options.node_id;
  relay.max_hops = options.max_hops;
  relay.dial = options.dial;
  relay.blocking_reply_timeout = options.cache.hold;
  relay.stall = options.stall_timeout;
  relay.times.head = options.head_timeout;
  relay.limits = options.http_limits;
  relay.cors = options.cache.cors;
  relay.naming = options.naming;
  return relay;
}

}  // namespace

struct EdgeNode::PerLoop {
  PerLoop(Loop& on, const EdgeOptions& options, Routing& routing, HttpStore& store,
          ObjectTier* tier, Metrics& registry)
      : loop(on),
        metrics(registry),
        window(options.merge_window, options.merge_max),
        resolver(on),
        hub({on, options, metrics, window, routing, resolver}),
        relay(on, routing, resolver, relay_options(options), HttpRelayTallies::of(registry)),
        cache_tallies(registry),
        cache({on, store, relay, options.cache, cache_tallies, tier}) {
    const Metrics::Labels label{{"loop", std::to_string(on.index())}};
    samples.push_back(registry.sample(Metrics::Type::Gauge, "weir_loop_utilisation",
                                      "Share of its time that a loop worked lately.", label,
                                      [&on] { return on.utilisation(); }));
    samples.push_back(registry.sample(
        Metrics::Type::Gauge, "weir_merge_window_seconds",
        "How long media is collected before viewers are flushed.", label,
        [this] { return std::chrono::duration<double>(window.current()).count(); }));
  }

  Loop& loop;
  EdgeMetrics metrics;
  MergeWindow window;
  Resolver resolver;
  StreamHub hub;
  HttpRelay relay;
  HttpCacheTallies cache_tallies;
  HttpCache cache;
  std::unique_ptr<Listener> rtmp;
  std::unique_ptr<Listener> http;
  std::unique_ptr<Listener> rtmps;
  std::unique_ptr<Listener> https;
  std::vector<Metrics::Sample> samples;
};

EdgeNode::EdgeNode(LoopGroup& loops, EdgeOptions options, Routing& routing, Admission& admission,
                   Metrics& metrics, const Ports& ports)
    : loops_(loops), options_(std::move(options)), store_(options_.cache_memory) {
  const auto sample = [&](Metrics::Type type, const char* name, const char* help, auto value) {
    samples_.push_back(metrics.sample(
        type, name, help, {}, [this, value] { return static_cast<double>(value(store_)); }));
  };
  sample(Metrics::Type::Gauge, "weir_cache_bytes", "Memory that the HTTP cache takes.",
         [](const HttpStore& store) { return store.memory()->bytes(); });
  sample(Metrics::Type::Gauge, "weir_cache_objects", "Responses in the HTTP cache.",
         [](const HttpStore& store) { return store.objects(); });
  sample(Metrics::Type::Gauge, "weir_cache_fills", "Requests upstream whose answer is awaited.",
         [](const HttpStore& store) { return store.fills(); });
  sample(Metrics::Type::Counter, "weir_cache_evictions_total",
         "Keys that had to make room in the HTTP cache.",
         [](const HttpStore& store) { return store.evictions(); });
  if (!options_.disk.folder.empty()) disk_ = std::make_unique<SegmentStore>(options_.disk, metrics);
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())] =
        std::make_unique<PerLoop>(loop, options_, routing, store_, disk_.get(), metrics);
  });
  std::vector<StreamHub*> hubs;
  for (auto& part : per_loop_) hubs.push_back(&part->hub);
  for (auto& part : per_loop_) part->hub.connect(hubs);
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    PerLoop& part = *per_loop_[index];
    const auto serve = [&](const std::vector<int>& descriptors, auto session) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      return serve_clients(loop, descriptors[index], admission, std::move(session));
    };
    const auto serve_tls = [&](const std::vector<int>& descriptors, auto session, OverTls what) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      return serve(descriptors, behind_tls(*options_.tls, what, std::move(session)));
    };
    HttpCache* const cache = options_.standalone ? nullptr : &part.cache;
    const auto rtmp_session = std::bind_front(serve_rtmp, std::ref(part.hub));
    const auto http_session = std::bind_front(serve_http, std::ref(part.hub), cache);
    part.rtmp = serve(ports.rtmp, rtmp_session);
    part.http = serve(ports.http, http_session);
    part.rtmps = serve_tls(ports.rtmps, rtmp_session, OverTls::Rtmp);
    part.https = serve_tls(ports.https, http_session, OverTls::Http);
  });
}

Result<std::vector<StreamReport>> EdgeNode::streams(milliseconds patience) {
  auto parts = ask_each(
      loops_,
      [this](Loop& loop) {
        return per_loop_[static_cast<std::size_t>(loop.index())]->hub.reports();
      },
      patience);
  if (!parts) return std::unexpected(parts.error());
  std::vector<StreamReport> reports;
  for (auto& part : *parts) std::ranges::move(part, std::back_inserter(reports));
  return reports;
}

void EdgeNode::stop_accepting() {
  loops_.on_each([this](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    for (auto* listener : {&part.rtmp, &part.http, &part.rtmps, &part.https}) {
      if (*listener) (*listener)->take_waiting();
      listener->reset();
    }
  });
}

EdgeNode::~EdgeNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
