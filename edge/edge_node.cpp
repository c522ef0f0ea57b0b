#include "edge/edge_node.h"

#include "edge/http_session.h"
#include "edge/rtmp_session.h"

namespace weir {

struct EdgeNode::PerLoop {
  PerLoop(Loop& on, const EdgeOptions& options, Routing& routing, Metrics& registry)
      : loop(on),
        metrics(registry),
        window(options.merge_window, options.merge_max),
        resolver(on),
        hub({on, options, metrics, window, routing, resolver}) {
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
  std::unique_ptr<Listener> rtmp;
  std::unique_ptr<Listener> http;
  std::vector<Metrics::Sample> samples;
};

EdgeNode::EdgeNode(LoopGroup& loops, EdgeOptions options, Routing& routing, Admission& admission,
                   Metrics& metrics, const Ports& ports)
    : loops_(loops), options_(std::move(options)) {
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())] =
        std::make_unique<PerLoop>(loop, options_, routing, metrics);
  });
  std::vector<StreamHub*> hubs;
  for (auto& part : per_loop_) hubs.push_back(&part->hub);
  for (auto& part : per_loop_) part->hub.connect(hubs);
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    PerLoop& part = *per_loop_[index];
    const auto serve = [&](const std::vector<int>& descriptors, auto session) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      auto bound = std::bind_front(session, std::ref(part.hub));
      return serve_clients(loop, descriptors[index], admission, std::move(bound));
    };
    part.rtmp = serve(ports.rtmp, serve_rtmp);
    part.http = serve(ports.http, serve_http);
  });
}

void EdgeNode::stop_accepting() {
  loops_.on_each([this](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    part.rtmp.reset();
    part.http.reset();
  });
}

EdgeNode::~EdgeNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
