#include "proxy/proxy_setup.h"

namespace weir {

rtmp::ReaderLimits rtmp_limits_of(const Config& config) {
  return {.chunk_size = static_cast<std::uint32_t>(config.size("rtmp.max_chunk_size")),
          .message = static_cast<std::uint32_t>(config.size("rtmp.max_message"))};
}

DialOptions dial_options_of(const Config& config) {
  return {.connect_timeout = config.duration("origin.connect_timeout"),
          .reply_timeout = config.duration("origin.reply_timeout")};
}

TrustedHops trusted_hops_of(const Config& config) {
  const std::string& field = config.text("forwarded.field");
  return {.from = config.networks("forwarded.from"),
          .forwarded = field != "x-forwarded-for",
          .x_forwarded_for = field != "forwarded"};
}

ProxyNode::Ports open_ports(const Config& config, PortOpener& opener) {
  const auto tcp = [&](const char* option) { return opener.tcp(option, config.listen(option)); };
  ProxyNode::Ports ports;
  ports.rtmp = tcp("listen.rtmp");
  ports.http = tcp("listen.http");
  ports.rtmps = tcp("listen.rtmps");
  ports.https = tcp("listen.https");
  ports.api = tcp("listen.api");
  ports.api_https = tcp("listen.api_https");
  if (config.text("role") != "proxy") return ports;
  ports.rtsp = tcp("listen.rtsp");
  ports.srt = opener.udp("listen.srt", config.listen("listen.srt"));
  const auto webrtc = config.listen("listen.webrtc");
  if (!webrtc) return ports;
  ports.webrtc_udp = opener.udp("listen.webrtc", webrtc);
  if (config.boolean("webrtc.tcp"))
    ports.webrtc_tcp = opener.tcp("listen.webrtc", endpoint_of(ports.webrtc_udp, *webrtc));
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
                  .tells_address = config.boolean("rtmp.client_address"),
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
  options.whip.candidates = config.hosts("webrtc.candidates");
  options.webrtc_sessions = static_cast<std::size_t>(config.integer("webrtc.max_sessions"));
  options.srt = {.dial = dial_options_of(config),
                 .idle = config.duration("srt.idle_timeout"),
                 .max_pending = static_cast<std::size_t>(config.integer("srt.max_pending"))};
  return options;
}

PublicApi::Options public_api_options_of(const Config& config) {
  PublicApi::Options options;
  options.times.head = config.duration("http.head_timeout");
  options.limits.head = config.size("http.max_head");
  return options;
}

}  // namespace weir
