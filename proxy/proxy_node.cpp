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
        srt_metrics(registry),
        http_relay(on, routing_, resolver, options_.http, HttpRelayTallies::of(registry)) {
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

  Task<void> serve_webrtc(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    return webrtc->serve(std::move(client), std::move(ticket));
  }

  void open_webrtc(int fd, Admission& admission, WebrtcDirectory& directory, Metrics& metrics) {
    const WebrtcPort::Context context{loop, udp_buffers(), routing, directory, admission, metrics};
    webrtc = std::make_unique<WebrtcPort>(context, fd);
    http_relay.offer_webrtc(directory, options.whip);
  }

  void open_srt(int fd, Admission& admission, const SrtCookies& cookies, SrtDirectory& directory) {
    const SrtContext context{loop,        options.srt,   routing,  resolver,
                             srt_metrics, udp_buffers(), directory};
    srt = std::make_unique<SrtRelay>(context, admission, cookies, fd);
  }

  UdpBuffers& udp_buffers() {
    if (!udp) udp = std::make_unique<UdpBuffers>(loop);
    return *udp;
  }

  Loop& loop;
  const Options& options;
  Routing& routing;
  Resolver resolver;
  RtmpRelayMetrics rtmp_metrics;
  RtspRelayMetrics rtsp_metrics;
  SrtRelayMetrics srt_metrics;
  HttpRelay http_relay;
  std::unique_ptr<UdpBuffers> udp;  // when there is a UDP port
  std::unique_ptr<Listener> rtmp;
  std::unique_ptr<Listener> http;
  std::unique_ptr<Listener> rtmps;
  std::unique_ptr<Listener> https;
  std::unique_ptr<Listener> rtsp;
  std::unique_ptr<WebrtcPort> webrtc;
  std::unique_ptr<Listener> webrtc_tcp;
  std::unique_ptr<SrtRelay> srt;
  std::vector<Metrics::Sample> samples;
};

ProxyNode::ProxyNode(LoopGroup& loops, Options options, Routing& routing, Admission& admission,
                     Metrics& metrics, const Ports& ports)
    : loops_(loops),
      options_(std::move(options)),
      webrtc_(options_.webrtc_sessions, options_.webrtc_store, metrics) {
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    per_loop_[index] = std::make_unique<PerLoop>(loop, options_, routing, metrics);
    PerLoop& part = *per_loop_[index];
    const auto serve_all = [&](const std::vector<int>& descriptors, Serve session) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      return serve_clients(loop, descriptors[index], admission, std::move(session));
    };
    const auto serve = [&](const std::vector<int>& descriptors, auto session) {
      return serve_all(descriptors, std::bind_front(session, &part));
    };
    const auto serve_tls = [&](const std::vector<int>& descriptors, auto session, OverTls what) {
      if (descriptors.empty()) return std::unique_ptr<Listener>();
      return serve_all(descriptors,
                       behind_tls(*options_.tls, what, std::bind_front(session, &part)));
    };
    part.rtmp = serve(ports.rtmp, &PerLoop::serve_rtmp);
    part.http = serve(ports.http, &PerLoop::serve_http);
    part.rtmps = serve_tls(ports.rtmps, &PerLoop::serve_rtmp, OverTls::Rtmp);
    part.https = serve_tls(ports.https, &PerLoop::serve_http, OverTls::Http);
    part.rtsp = serve(ports.rtsp, &PerLoop::serve_rtsp);
    if (!ports.webrtc_udp.empty())
      part.open_webrtc(ports.webrtc_udp[index], admission, webrtc_, metrics);
    part.webrtc_tcp = serve(ports.webrtc_tcp, &PerLoop::serve_webrtc);
    if (!ports.srt.empty())
      part.open_srt(ports.srt[index], admission, srt_cookies_, srt_directory_);
  });
  loops[0].post([this, &loops] { loops[0].spawn(webrtc_.run(loops[0])); });
}

void ProxyNode::stop_accepting() {
  loops_.on_each([this](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    for (auto* listener :
         {&part.rtmp, &part.http, &part.rtmps, &part.https, &part.rtsp, &part.webrtc_tcp}) {
      if (*listener) (*listener)->take_waiting();
      listener->reset();
    }
    if (part.webrtc) part.webrtc->stop_accepting();
    if (part.srt) part.srt->stop_accepting();
  });
}

ProxyNode::~ProxyNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
