#include "proxy/proxy_node.h"

namespace weir {

struct ProxyNode::PerLoop {
  PerLoop(Loop& on, Options options_, Routing& routing_, Metrics& registry)
      : loop(on),
        options(std::move(options_)),
        routing(routing_),
        resolver(on),
        rtmp_metrics(registry),
        rtsp_metrics(registry),
        srt_metrics(registry),
        http_relay(on, routing_, resolver, options.http, HttpRelayTallies::of(registry)) {
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
    if (older) webrtc->share(*older);
    http_relay.offer_webrtc(directory, options.whip);
  }

  void open_srt(int fd, Admission& admission, const SrtCookies& cookies, SrtDirectory& directory) {
    const SrtContext context{loop,        options.srt,   routing,  resolver,
                             srt_metrics, udp_buffers(), directory};
    srt = std::make_unique<SrtRelay>(context, admission, cookies, fd);
    if (older) srt->share(*older);
  }

  // From here on these are the ports. What is left of others keeps its sessions.
  void take_up(const Ports& next, ProxyNode& node) {
    const auto index = static_cast<std::size_t>(loop.index());
    const auto serve = [&](ServedPort& port, const std::vector<int>& descriptors, auto session) {
      port.take_up(loop, descriptors, node.admission_, std::bind_front(session, this));
    };
    const auto serve_tls = [&](ServedPort& port, const std::vector<int>& descriptors, OverTls what,
                               auto session) {
      port.take_up(loop, descriptors, node.admission_,
                   behind_tls(node.tls_, what, std::bind_front(session, this)));
    };
    serve(rtmp, next.rtmp, &PerLoop::serve_rtmp);
    serve(http, next.http, &PerLoop::serve_http);
    serve_tls(rtmps, next.rtmps, OverTls::Rtmp, &PerLoop::serve_rtmp);
    serve_tls(https, next.https, OverTls::Http, &PerLoop::serve_http);
    serve(rtsp, next.rtsp, &PerLoop::serve_rtsp);
    if (next.webrtc_udp != ports.webrtc_udp) {
      if (webrtc) webrtc->stop_accepting();
      if (webrtc) old_webrtc.push_back(std::move(webrtc));
      if (next.webrtc_udp.empty())
        http_relay.offer_no_webrtc();
      else
        open_webrtc(next.webrtc_udp[index], node.admission_, node.webrtc_, node.metrics_);
    }
    serve(webrtc_tcp, next.webrtc_tcp, &PerLoop::serve_webrtc);
    if (next.srt != ports.srt) {
      if (srt) srt->stop_accepting();
      if (srt) old_srt.push_back(std::move(srt));
      if (!next.srt.empty())
        open_srt(next.srt[index], node.admission_, node.srt_cookies_, node.srt_directory_);
    }
    ports = next;
  }

  // What the process after this one passes on is as if received here.
  void hand_over(int pass) {
    newer = std::make_unique<PacketPass>(
        loop, pass,
        [this](PacketPass::Port port, const UdpPeer& from, std::span<std::uint8_t> packet) {
          if (port == PacketPass::Port::Webrtc && webrtc) webrtc->passed(from, packet);
          if (port == PacketPass::Port::Srt && srt) srt->passed(from, packet);
        });
    if (webrtc) webrtc->hand_over();
    if (srt) srt->hand_over();
  }

  void stop_accepting() {
    for (auto* port : {&rtmp, &http, &rtmps, &https, &rtsp, &webrtc_tcp}) port->close();
    if (webrtc) webrtc->stop_accepting();
    if (srt) srt->stop_accepting();
  }

  UdpBuffers& udp_buffers() {
    if (!udp) udp = std::make_unique<UdpBuffers>(loop);
    return *udp;
  }

  Loop& loop;
  Options options;  // sessions look into it
  Ports ports;
  Routing& routing;
  Resolver resolver;
  RtmpRelayMetrics rtmp_metrics;
  RtspRelayMetrics rtsp_metrics;
  SrtRelayMetrics srt_metrics;
  HttpRelay http_relay;
  std::unique_ptr<UdpBuffers> udp;    // when there is a UDP port
  std::unique_ptr<PacketPass> older;  // to the process before this one
  std::unique_ptr<PacketPass> newer;  // from the one after
  ServedPort rtmp;
  ServedPort http;
  ServedPort rtmps;
  ServedPort https;
  ServedPort rtsp;
  std::unique_ptr<WebrtcPort> webrtc;
  ServedPort webrtc_tcp;
  std::unique_ptr<SrtRelay> srt;
  std::vector<std::unique_ptr<WebrtcPort>> old_webrtc;  // one for each time it was moved
  std::vector<std::unique_ptr<SrtRelay>> old_srt;
  std::vector<Metrics::Sample> samples;
};

ProxyNode::ProxyNode(LoopGroup& loops, Options options, Routing& routing, Admission& admission,
                     TlsDoor& tls, Metrics& metrics, const Ports& ports, Sharing older)
    : loops_(loops),
      admission_(admission),
      tls_(tls),
      metrics_(metrics),
      webrtc_(options.webrtc_sessions, options.webrtc_store, metrics),
      srt_cookies_(older.cookies) {
  per_loop_.resize(loops.size());
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    auto& part = per_loop_[index];
    part = std::make_unique<PerLoop>(loop, options, routing, metrics);
    if (index < older.passes.size())
      part->older = std::make_unique<PacketPass>(loop, older.passes[index], nullptr);
    part->take_up(ports, *this);
  });
  loops[0].post([this, &loops] { loops[0].spawn(webrtc_.run(loops[0])); });
}

void ProxyNode::apply(Options options, const Ports& ports) {
  loops_.on_each([&](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    part.options = options;
    part.http_relay.change(options.http);
    part.take_up(ports, *this);
  });
}

void ProxyNode::hand_over(const std::vector<int>& passes) {
  loops_.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    per_loop_[index]->hand_over(passes[index]);
  });
}

std::optional<WhipExchange::Context> ProxyNode::signalling(const Loop& loop) const {
  return per_loop_[static_cast<std::size_t>(loop.index())]->http_relay.webrtc();
}

void ProxyNode::stop_accepting() {
  loops_.on_each(
      [this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())]->stop_accepting(); });
}

ProxyNode::~ProxyNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
