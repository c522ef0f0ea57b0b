// main.cpp
// Puts a node together from its configuration and takes it apart again: no logic of its own.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "common/command_line.h"
#include "common/config.h"
#include "common/departure.h"
#include "common/log.h"
#include "common/options.h"
#include "common/systemd.h"
#include "edge/demo.h"
#include "edge/edge_node.h"
#include "proxy/cluster_client.h"
#include "proxy/proxy_node.h"
#include "proxy/routing_setup.h"
#include "proxy/system_api.h"
#include "proxy/webrtc_shared_store.h"

namespace {

using namespace weir;

constexpr milliseconds kUnwind{5000};
constexpr milliseconds kLeastUnwind{500};
constexpr milliseconds kAnswer{1000};

Config load(const CommandLine& line) {
  return Config::load({.file = line.config_file,
                       .environment = process_environment(),
                       .dotenv = read_optional_file(".env").value_or(""),
                       .overrides = line.overrides,
                       .role = line.role});
}

rtmp::ReaderLimits rtmp_limits(const Config& config) {
  return {.chunk_size = static_cast<std::uint32_t>(config.size("rtmp.max_chunk_size")),
          .message = static_cast<std::uint32_t>(config.size("rtmp.max_message"))};
}

DialOptions dial_options(const Config& config) {
  return {.connect_timeout = config.duration("origin.connect_timeout"),
          .reply_timeout = config.duration("origin.reply_timeout")};
}

std::optional<http::StaticFiles> open_files(const Config& config) {
  const std::string& root = config.text("http.root");
  if (root.empty()) return std::nullopt;
  auto files = http::StaticFiles::open(root, config.duration("viewer.stall_timeout"));
  if (!files) throw ConfigError("http.root: " + files.error().text);
  return std::move(*files);
}

OriginNaming edge_naming(const Config& config) {
  std::vector<std::string> ids;
  for (const auto& section : config.upstreams())
    if (section.http) ids.push_back(section.name);
  return OriginNaming::among(ids);
}

EdgeOptions edge_options(const Config& config, const std::string& node,
                         const http::StaticFiles* files) {
  EdgeOptions options;
  options.node_id = node;
  options.standalone = config.upstreams().empty() && config.text("upstream.discover") == "off";
  const std::string& pull = config.text("edge.pull");
  options.pull = pull == "rtmp"  ? EdgeOptions::Pull::Rtmp
                 : pull == "flv" ? EdgeOptions::Pull::Flv
                                 : EdgeOptions::Pull::Auto;
  options.linger = config.duration("edge.linger");
  options.source_timeout = config.duration("edge.source_timeout");
  options.start_timeout = config.duration("edge.start_timeout");
  options.gone_timeout = config.duration("edge.gone_timeout");
  options.negative_ttl = config.duration("edge.negative_ttl");
  options.max_missing = static_cast<std::size_t>(config.integer("streams.max_negative"));
  options.retry_min = config.duration("edge.retry_min");
  options.retry_max = config.duration("edge.retry_max");
  options.merge_window = config.optional_duration("edge.merge_window");
  options.merge_max = config.duration("edge.merge_max");
  options.max_hops = static_cast<int>(config.integer("edge.max_hops"));
  options.log.window = config.duration("edge.log_window");
  options.log.max_bytes = config.size("edge.log_max");
  options.stall_timeout = config.duration("viewer.stall_timeout");
  options.send_buffer = config.size("viewer.send_buffer");
  options.publisher_first_timeout = config.duration("publisher.first_timeout");
  options.publisher_timeout = config.duration("publisher.timeout");
  options.publisher_stale = config.duration("publisher.stale");
  options.handshake_timeout = config.duration("rtmp.handshake_timeout");
  options.request_timeout = config.duration("rtmp.request_timeout");
  options.head_timeout = config.duration("http.head_timeout");
  options.window_ack = static_cast<std::uint32_t>(config.size("rtmp.window_ack"));
  options.rtmp = rtmp_limits(config);
  options.dial = dial_options(config);
  options.naming = edge_naming(config);
  options.cache_memory = config.size("cache.memory");
  options.cache.node_id = node;
  options.cache.object_max = config.size("cache.object_max");
  options.cache.policy = {.segment_ttl = config.duration("cache.segment_ttl"),
                          .playlist_ttl = config.duration("cache.playlist_ttl"),
                          .error_ttl = config.duration("cache.error_ttl")};
  for (const auto argument : http::split_list(config.text("cache.ignore_args")))
    options.cache.ignored_arguments.emplace_back(argument);
  options.cache.purge_token = config.text("cache.purge_token");
  options.cache.hold = config.duration("cache.hold");
  options.cache.stall = options.stall_timeout;
  options.cache.cors = config.boolean("http.cors");
  options.http_limits.head = config.size("http.max_head");
  options.disk.folder = config.text("cache.path");
  options.disk.size = config.size("cache.disk");
  options.files = files;
  return options;
}

using OpenPorts = ProxyNode::Ports;

OpenPorts open_ports(const Config& config, std::size_t workers) {
  OpenPorts ports{.rtmp = open_tcp("listen.rtmp", config.listen("listen.rtmp"), workers),
                  .http = open_tcp("listen.http", config.listen("listen.http"), workers),
                  .rtsp = {},
                  .srt = {},
                  .webrtc_udp = {},
                  .webrtc_tcp = {}};
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

ProxyNode::Options proxy_options(const Config& config, const std::string& node,
                                 const http::StaticFiles* files, const OpenPorts& ports) {
  ProxyNode::Options options;
  options.rtmp = {.node_id = node,
                  .max_hops = static_cast<int>(config.integer("edge.max_hops")),
                  .handshake_timeout = config.duration("rtmp.handshake_timeout"),
                  .request_timeout = config.duration("rtmp.request_timeout"),
                  .stall_timeout = config.duration("viewer.stall_timeout"),
                  .window_ack = static_cast<std::uint32_t>(config.size("rtmp.window_ack")),
                  .limits = rtmp_limits(config),
                  .dial = dial_options(config)};
  options.rtsp = {.node_id = node,
                  .max_hops = static_cast<int>(config.integer("edge.max_hops")),
                  .request_timeout = config.duration("rtsp.request_timeout"),
                  .session_timeout = config.duration("rtsp.session_timeout"),
                  .stall_timeout = config.duration("viewer.stall_timeout"),
                  .limits = {},
                  .dial = dial_options(config)};
  options.http.node_id = node;
  options.http.max_hops = options.rtmp.max_hops;
  options.http.files = files;
  options.http.dial = dial_options(config);
  options.http.stall = config.duration("viewer.stall_timeout");
  options.http.times.head = config.duration("http.head_timeout");
  options.http.limits.head = config.size("http.max_head");
  options.whip.node_id = node;
  options.whip.dial = dial_options(config);
  if (!ports.webrtc_udp.empty()) options.whip.media_port = endpoint_of(ports.webrtc_udp, {}).port;
  options.whip.tcp = config.boolean("webrtc.tcp");
  for (const auto text : http::split_list(config.text("webrtc.candidates"))) {
    auto endpoint = parse_endpoint(text, "");
    if (!endpoint) throw ConfigError("webrtc.candidates: " + endpoint.error().text);
    options.whip.candidates.push_back(std::move(*endpoint));
  }
  options.webrtc_sessions = static_cast<std::size_t>(config.integer("webrtc.max_sessions"));
  options.srt = {.dial = dial_options(config),
                 .idle = config.duration("srt.idle_timeout"),
                 .max_pending = static_cast<std::size_t>(config.integer("srt.max_pending"))};
  return options;
}

// Where others reach this node.
EndpointTable reached_at(const Config& config, const OpenPorts& ports) {
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

std::string shown(const Endpoint& endpoint) {
  return to_string(
      {.host = endpoint.host.empty() ? "127.0.0.1" : endpoint.host, .port = endpoint.port});
}

void print_welcome(const Config& config, const OpenPorts& ports) {
  std::printf("%s, role %s\n", version_text().c_str(), config.text("role").c_str());
  if (!ports.rtmp.empty()) {
    const std::string at = shown(endpoint_of(ports.rtmp, *config.listen("listen.rtmp")));
    std::printf("  publish   rtmp://%s/live/test\n", at.c_str());
    std::printf("  play      rtmp://%s/live/test\n", at.c_str());
  }
  if (!ports.http.empty()) {
    const std::string at = shown(endpoint_of(ports.http, *config.listen("listen.http")));
    std::printf("  play      http://%s/live/test.flv\n", at.c_str());
  }
  if (!ports.rtsp.empty()) {
    const std::string at = shown(endpoint_of(ports.rtsp, *config.listen("listen.rtsp")));
    std::printf("  play      rtsp://%s/live/test\n", at.c_str());
  }
  if (!ports.srt.empty()) {
    const std::string at = shown(endpoint_of(ports.srt, *config.listen("listen.srt")));
    std::printf("  publish   srt://%s?streamid=#!::r=live/test,m=publish\n", at.c_str());
    std::printf("  play      srt://%s?streamid=#!::r=live/test\n", at.c_str());
  }
  if (const auto system = config.listen("listen.system"); system && system->port != 0)
    std::printf("  metrics   http://%s/metrics\n", shown(*system).c_str());
  std::fflush(stdout);
}

// Why the node takes no clients; null when it does.
using NodeState = std::atomic<const char*>;

ControlView::Options control_options(const Config& config, const NodeState& not_ready) {
  return {.role = config.text("role"), .state = [&not_ready]() -> std::string {
            const char* reason = not_ready;
            return reason != nullptr ? reason : "ready";
          }};
}

std::vector<std::unique_ptr<SystemApi>> open_apis(const Config& config, const std::string& node,
                                                  Metrics& metrics, LoopGroup& loops,
                                                  Routing& routing, const NodeState& state,
                                                  ControlHandlers reading, ControlHandlers all) {
  SystemPages::Handlers handlers;
  handlers.metrics = [&metrics] { return metrics.text(); };
  handlers.unwell = [&loops] {
    return loops.answer(kAnswer) ? std::vector<std::string>{}
                                 : std::vector<std::string>{"a loop does not answer"};
  };
  handlers.not_ready = [&state] {
    const char* reason = state;
    return reason != nullptr ? std::vector<std::string>{reason} : std::vector<std::string>{};
  };
  SystemApi::Options options;
  options.allow = config.networks("system.allow");
  options.token = config.text("api.token");
  options.identity = {.server = node,
                      .service = random_id(),
                      .pid = std::to_string(::getpid()),
                      .version = WEIR_VERSION};
  std::vector<std::unique_ptr<SystemApi>> apis;
  auto open = [&](const std::string& option) {
    const auto endpoint = config.listen(option);
    if (!endpoint) return;
    options.option = option;
    options.listen = *endpoint;
    apis.push_back(std::make_unique<SystemApi>(options, handlers));
  };
  handlers.control = std::move(reading);
  open("listen.api");
  handlers.control = std::move(all);
  handlers.registered = [&routing](const Registration& registration) -> Result<void> {
    return routing.heartbeat_from_outside(registration, kAnswer);
  };
  open("listen.system");
  return apis;
}

// What the edge holds; a proxy does not look into streams.
ControlView::Streams streams_of(const std::unique_ptr<EdgeNode>& node) {
  if (!node) return nullptr;
  return [&edge = *node] { return edge.streams(kAnswer); };
}

std::size_t worker_count(const Config& config) {
  const auto wanted = config.integer("workers");
  return wanted > 0 ? static_cast<std::size_t>(wanted)
                    : std::max(1U, std::thread::hardware_concurrency());
}

int run(const Config& config) {
  Departure departure;
  std::signal(SIGPIPE, SIG_IGN);

  log::init(log::level_named(config.text("log.level")),
            log::format_named(config.text("log.format")));
  for (const auto& warning : config.warnings()) log::warn(warning);
  const std::string node = config.text("node.id").empty() ? random_id() : config.text("node.id");
  const bool edge = config.text("role") == "edge";
  const auto files = open_files(config);
  const http::StaticFiles* served = files ? &*files : nullptr;
  const std::size_t workers = worker_count(config);
  const OpenPorts ports = open_ports(config, workers);

  Metrics metrics(WEIR_VERSION);
  LoopGroup loops(workers);
  Systemd systemd(process_environment());
  if (const auto period = systemd.interval())
    departure.meanwhile(*period, [&] {
      systemd.keep_alive([&](milliseconds patience) { return loops.answer(patience); },
                         Clock::now());
    });
  Routing routing(loops[0], router_of(config), metrics,
                  sharing_of(config, node, reached_at(config, ports)), health_check_of(config));
  if (!config.text("state.path").empty() && !edge && config.text("state.backend") == "memory")
    routing.keep_state(std::make_unique<StateKeeper>(config.text("state.path"), metrics),
                       config.duration("route.expire"));
  Admission admission(static_cast<std::size_t>(config.integer("limits.connections")),
                      static_cast<std::size_t>(config.integer("limits.per_address")));
  auto connections =
      metrics.sample(Metrics::Type::Gauge, "weir_connections", "Client connections.", {},
                     [&] { return static_cast<double>(admission.connections()); });
  auto refused = metrics.sample(Metrics::Type::Counter, "weir_connections_refused_total",
                                "Connections closed because a limit was reached.", {},
                                [&] { return static_cast<double>(admission.refused()); });
  // The last ports that may not be had: nothing runs yet that would have to be stopped.
  NodeState not_ready = "starting";
  ControlView control(loops, routing, control_options(config, not_ready));
  ControlHandlers all = ControlHandlers::all(control);
  all.drain = [&departure] { departure.ask(); };
  auto apis = open_apis(config, node, metrics, loops, routing, not_ready,
                        ControlHandlers::reading(control), std::move(all));

  loops.start();
  SessionDirectory sessions(loops);
  ClusterClient cluster(loops[0]);
  loops[0].post([&] { loops[0].spawn(routing.run()); });
  std::optional<SharedWebrtcStore> webrtc_store;
  if (SharedState* state = routing.shared_state()) webrtc_store.emplace(loops[0], *state);
  std::unique_ptr<EdgeNode> edge_node;
  std::unique_ptr<ProxyNode> proxy_node;
  if (edge) {
    edge_node =
        std::make_unique<EdgeNode>(loops, edge_options(config, node, served), routing, admission,
                                   metrics, EdgeNode::Ports{ports.rtmp, ports.http});
  } else {
    auto options = proxy_options(config, node, served, ports);
    if (webrtc_store) options.webrtc_store = &*webrtc_store;
    proxy_node =
        std::make_unique<ProxyNode>(loops, std::move(options), routing, admission, metrics, ports);
  }
  control.attach({.sessions = &sessions, .cluster = &cluster, .streams = streams_of(edge_node)});
  not_ready = nullptr;
  print_welcome(config, ports);
  log::info("ready", {{"node", node}, {"role", config.text("role")}, {"workers", workers}});

  systemd.ready(fmt::format("role {}, node {}", config.text("role"), node));
  const auto why = departure.wait();
  log::info("going away", {{"asked_by", name(why)}});
  not_ready = "draining";
  routing.leave();
  systemd.stopping(config.duration("shutdown.force") + kUnwind);
  const auto force = Clock::now() + config.duration("shutdown.force");
  if (edge_node) edge_node->stop_accepting();
  if (proxy_node) proxy_node->stop_accepting();
  sessions.drain();
  if (why != Departure::Reason::Interrupt)
    departure.linger(config.duration("shutdown.grace"),
                     [&admission] { return admission.connections() == 0; });
  apis.clear();
  const auto left = std::chrono::duration_cast<milliseconds>(force - Clock::now());
  const bool all_ended = loops.shut_down(std::clamp(left, kLeastUnwind, kUnwind));
  if (!all_ended) {
    log::error("some sessions did not end in time");
    std::_Exit(1);
  }
  edge_node.reset();
  proxy_node.reset();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const CommandLine line = parse_command_line({argv + 1, argv + argc});
    switch (line.verb) {
      case CommandLine::Verb::Help:
        std::fputs(help_text(line.help_topic).c_str(), stdout);
        return 0;
      case CommandLine::Verb::Version: std::puts(version_text().c_str()); return 0;
      case CommandLine::Verb::PrintDefaultConfig:
        std::fputs(default_config_text().c_str(), stdout);
        return 0;
      case CommandLine::Verb::PrintConfig: std::fputs(load(line).print().c_str(), stdout); return 0;
      case CommandLine::Verb::CheckConfig: load(line); return 0;
      case CommandLine::Verb::Demo: return run_demo(line);
      case CommandLine::Verb::Run: return run(load(line));
    }
  } catch (const std::exception& mistake) {
    std::fprintf(stderr, "weir: %s\n", mistake.what());
    return 1;
  }
}
