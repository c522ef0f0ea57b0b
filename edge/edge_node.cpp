#include "edge/edge_node.h"

#include <algorithm>
#include <iterator>

#include "common/io/ask.h"
#include "edge/http_session.h"
#include "edge/rtmp_session.h"
#include "edge/token_traverse.h"
#include "proxy/access/access.h"

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
  PerLoop(Loop& on, EdgeOptions options_, Routing& routing, HttpStore& store, ObjectTier* tier,
          TlsDoor& door, Metrics& registry)
      : loop(on),
        tls(door),
        options(std::move(options_)),
        metrics(registry),
        window(options.merge_window, options.merge_max),
        resolver(on),
        hub({on, options, metrics, window, routing, resolver}),
        relay(on, routing, resolver, relay_options(options), HttpRelayTallies::of(registry)),
        cache_tallies(registry),
        cache({on, store, relay, options.cache, cache_tallies, tier}),
        traverse({on, options, routing, resolver, relay}) {
    if (Access* access = Access::here(); access != nullptr && !options.standalone)
      access->ask_upstream_with(
          [this](AccessRequest request) { return traverse.ask(std::move(request)); });
    const Metrics::Labels label{{"loop", std::to_string(on.index())}};
    samples.push_back(registry.sample(Metrics::Type::Gauge, "weir_loop_utilisation",
                                      "Share of its time that a loop worked lately.", label,
                                      [&on] { return on.utilisation(); }));
    samples.push_back(registry.sample(
        Metrics::Type::Gauge, "weir_merge_window_seconds",
        "How long media is collected before viewers are flushed.", label,
        [this] { return std::chrono::duration<double>(window.current()).count(); }));
  }

  ~PerLoop() {
    if (Access* access = Access::here()) access->ask_upstream_with(nullptr);
  }

  void apply(const EdgeOptions& next) {
    options = next;
    window.change(options.merge_window, options.merge_max);
    relay.change(relay_options(options));
  }

  // From here on these are the ports.
  void take_up(const Ports& next, Admission& admission) {
    rtmp.take_up(loop, next.rtmp, admission, std::bind_front(&PerLoop::serve_rtmp, this));
    http.take_up(loop, next.http, admission, std::bind_front(&PerLoop::serve_http, this));
    rtmps.take_up(loop, next.rtmps, admission,
                  behind_tls(tls, OverTls::Rtmp, std::bind_front(&PerLoop::serve_rtmp, this)));
    https.take_up(loop, next.https, admission,
                  behind_tls(tls, OverTls::Http, std::bind_front(&PerLoop::serve_http, this)));
  }

  Task<void> serve_rtmp(std::unique_ptr<Socket> socket, std::shared_ptr<void> ticket) {
    return weir::serve_rtmp(hub, std::move(socket), std::move(ticket));
  }
  Task<void> serve_http(std::unique_ptr<Socket> socket, std::shared_ptr<void> ticket) {
    return weir::serve_http(hub, options.standalone ? nullptr : &cache, std::move(socket),
                            std::move(ticket));
  }

  Loop& loop;
  TlsDoor& tls;
  EdgeOptions options;  // sessions look into it
  EdgeMetrics metrics;
  MergeWindow window;
  Resolver resolver;
  StreamHub hub;
  HttpRelay relay;
  HttpCacheTallies cache_tallies;
  HttpCache cache;
  TokenTraverse traverse;
  ServedPort rtmp;
  ServedPort http;
  ServedPort rtmps;
  ServedPort https;
  std::vector<Metrics::Sample> samples;
};

EdgeNode::EdgeNode(LoopGroup& loops, EdgeOptions options, Routing& routing, Admission& admission,
                   TlsDoor& tls, Metrics& metrics, const Ports& ports)
    : loops_(loops), admission_(admission), store_(options.cache_memory) {
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
  if (!options.disk.folder.empty()) disk_ = std::make_unique<SegmentStore>(options.disk, metrics);
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())] =
        std::make_unique<PerLoop>(loop, options, routing, store_, disk_.get(), tls, metrics);
  });
  std::vector<StreamHub*> hubs;
  for (auto& part : per_loop_) hubs.push_back(&part->hub);
  for (auto& part : per_loop_) part->hub.connect(hubs);
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())]->take_up(ports, admission);
  });
}

void EdgeNode::apply(const EdgeOptions& options, const Ports& ports) {
  store_.limit(options.cache_memory);
  loops_.on_each([&](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    part.apply(options);
    part.take_up(ports, admission_);
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
    for (auto* port : {&part.rtmp, &part.http, &part.rtmps, &part.https}) port->close();
  });
}

EdgeNode::~EdgeNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
