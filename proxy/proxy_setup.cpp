#include "proxy/proxy_setup.h"

#include "common/config_sources.h"

namespace weir {

rtmp::ReaderLimits rtmp_limits_of(const Config& config) {
  return {.chunk_size = static_cast<std::uint32_t>(config.size("rtmp.max_chunk_size")),
          .message = static_cast<std::uint32_t>(config.size("rtmp.max_message"))};
}

DialOptions dial_options_of(const Config& config) {
  return {.connect_timeout = config.duration("origin.connect_timeout"),
          .reply_timeout = config.duration("origin.reply_timeout")};
}

std::shared_ptr<TlsServer> tls_server_of(const Config& config) {
  const std::string& certificates = config.text("tls.certificates");
  if (certificates.empty()) return nullptr;
  auto server = TlsServer::open(certificates);
  if (!server) throw ConfigError("tls.certificates: " + server.error().text);
  return std::move(*server);
}

TlsDoor::Options tls_door_options_of(const Config& config) {
  return {.handshake_timeout = config.duration("tls.handshake_timeout"),
          .http2 = config.boolean("tls.http2")};
}

ProxyNode::Ports open_ports(const Config& config, std::size_t workers) {
  ProxyNode::Ports ports{.rtmp = open_tcp("listen.rtmp", config.listen("listen.rtmp"), workers),
                         .http = open_tcp("listen.http", config.listen("listen.http"), workers),
                         .rtsp = {},
                         .srt = {},
                         .webrtc_udp = {},
                         .webrtc_tcp = {}};
  ports.rtmps = open_tcp("listen.rtmps", config.listen("listen.rtmps"), workers);
  ports.https = open_tcp("listen.https", config.listen("listen.https"), workers);
  if (config.text("role") != "proxy") return ports;
  ports.rtsp = open_tcp("listen.rtsp", config.listen("listen.rtsp"), workers);
  ports.srt = open_udp("listen.srt", config.listen("listen.srt"), workers);
  const auto webrtc = config.listen("listen.webrtc");
  if (!webrtc) return ports;
  ports.webrtc_udp = open_udp("listen.webrtc", webrtc, workers);
  if (config.boolean("webrtc.tcp"))
    ports.webrtc_tcp = open_tcp("listen.webrtc", endpoint_of(ports.webrtc_udp, *webrtc), workers);
  return ports;
}

EndpointTable reached_at(const Config& config, const ProxyNode::Ports& ports) {
  EndpointTable table;
  const auto add = [&](Protocol protocol, const char* option, const std::vector<int>& descriptors) {
    if (!descriptors.empty())
      table[static_cast<std::size_t>(protocol)] = {
          endpoint_of(descriptors, *config.listen(option))};
  };
  add(Protocol::Rtmp, "listen.rtmp", ports.rtmp);
  add(Protocol::Http, "listen.http", ports.http);
  add(Protocol::Rtsp, "listen.rtsp", ports.rtsp);
  add(Protocol::Srt, "listen.srt", ports.srt);
  return table;
}

ProxyNode::Options proxy_options_of(const Config& config, const std::string& node,
                                    const http::StaticFiles* files, const ProxyNode::Ports& ports) {
  ProxyNode::Options options;
  options.rtmp = {.node_id = node,
                  .max_hops = static_cast<int>(config.integer("edge.max_hops")),
                  .handshake_timeout = config.duration("rtmp.handshake_timeout"),
                  .request_timeout = config.duration("rtmp.request_timeout"),
                  .stall_timeout = config.duration("viewer.stall_timeout"),
                  .window_ack = static_cast<std::uint32_t>(config.size("rtmp.window_ack")),
                  .limits = rtmp_limits_of(config),
                  .dial = dial_options_of(config)};
  options.rtsp = {.node_id = node,
                  .max_hops = static_cast<int>(config.integer("edge.max_hops")),
                  .request_timeout = config.duration("rtsp.request_timeout"),
                  .session_timeout = config.duration("rtsp.session_timeout"),
                  .stall_timeout = config.duration("viewer.stall_timeout"),
                  .limits = {},
                  .dial = dial_options_of(config)};
  options.http.node_id = node;
  options.http.max_hops = options.rtmp.max_hops;
  options.http.files = files;
  options.http.dial = dial_options_of(config);
  options.http.stall = config.duration("viewer.stall_timeout");
  options.http.times.head = config.duration("http.head_timeout");
  options.http.limits.head = config.size("http.max_head");
  options.whip.node_id = node;
  options.whip.dial = dial_options_of(config);
  if (!ports.webrtc_udp.empty()) options.whip.media_port = endpoint_of(ports.webrtc_udp, {}).port;
  options.whip.tcp = config.boolean("webrtc.tcp");
  for (const auto text : http::split_list(config.text("webrtc.candidates"))) {
    auto endpoint = parse_endpoint(text, "");
    if (!endpoint) throw ConfigError("webrtc.candidates: " + endpoint.error().text);
    options.whip.candidates.push_back(std::move(*endpoint));
  }
  options.webrtc_sessions = static_cast<std::size_t>(config.integer("webrtc.max_sessions"));
  options.srt = {.dial = dial_options_of(config),
                 .idle = config.duration("srt.idle_timeout"),
                 .max_pending = static_cast<std::size_t>(config.integer("srt.max_pending"))};
  return options;
}

}  // namespace weir
