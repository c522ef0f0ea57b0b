#include "proxy/proxy_node.h"

namespace weir {

struct ProxyNode::PerLoop {
  PerLoop(Loop& on, const Options& options_, Routing& routing_, Metrics& registry)
      : loop(on),
        options(options_),
        routing(routing_),
        resolver(on),
        rtmp_metrics(registry),
        rtsp_metrics(registry),
        http_relay(
            on, routing_, resolver, options_.http,
            {.requests = registry.tally("weir_http_requests_total", "HTTP requests relayed."),
             .failures = registry.tally("weir_http_failures_total",
                                        "HTTP requests that no origin answered."),
             .reused = registry.tally("weir_http_reused_total",
                                      "HTTP requests over a pooled connection."),
             .bytes_to_clients = relayed_bytes(registry, "http", "down"),
             .bytes_to_origins = relayed_bytes(registry, "http", "up")}) {
    const Metrics::Labels label{{"loop", std::to_string(on.index())}};
    samples.push_back(registry.sample(Metrics::Type::Gauge, "weir_loop_utilisation",
                                      "Share of its time that a loop worked lately.", label,
                                      [&on] { return on.utilisation(); }));
  }

  Task<void> serve_rtmp(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    return relay_rtmp({loop, options.rtmp, routing, resolver, rtmp_metrics}, std::move(client),
                      std::move(ticket));
  }

  Task<void> serve_http(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    co_await http_relay.serve(std::move(client));
    ticket.reset();
  }

  Task<void> serve_rtsp(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    return relay_rtsp({loop, options.rtsp, routing, resolver, rtsp_metrics}, std::move(client),
                      std::move(ticket));
  }

  Loop& loop;
  const Options& options;
  Routing& routing;
  Resolver resolver;
  RtmpRelayMetrics rtmp_metrics;
  RtspRelayMetrics rtsp_metrics;
  HttpRelay http_relay;
  std::unique_ptr<Listener> rtmp;
  std::unique_ptr<Listener> http;
  std::unique_ptr<Listener> rtsp;
  std::vector<Metrics::Sample> samples;
};

ProxyNode::ProxyNode(LoopGroup& loops, Options options, Routing& routing, Admission& admission,
                     Metrics& metrics, const Ports& ports)
    : loops_(loops), options_(std::move(options)) {
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    per_loop_[index] = std::make_unique<PerLoop>(loop, options_, routing, metrics);
    PerLoop& part = *per_loop_[index];
    const auto serve = [&](const std::vector<int>& descriptors, auto session) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      return serve_clients(loop, descriptors[index], admission, std::bind_front(session, &part));
    };
    part.rtmp = serve(ports.rtmp, &PerLoop::serve_rtmp);
    part.http = serve(ports.http, &PerLoop::serve_http);
    part.rtsp = serve(ports.rtsp, &PerLoop::serve_rtsp);
  });
}

void ProxyNode::stop_accepting() {
  loops_.on_each([this](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    for (auto* listener : {&part.rtmp, &part.http, &part.rtsp}) {
      if (*listener) (*listener)->take_waiting();
      listener->reset();
    }
  });
}

ProxyNode::~ProxyNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
