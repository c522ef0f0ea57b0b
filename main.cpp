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
#include "edge/edge_setup.h"
#include "proxy/cluster_client.h"
#include "proxy/proxy_setup.h"
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

std::optional<http::StaticFiles> open_files(const Config& config) {
  const std::string& root = config.text("http.root");
  if (root.empty()) return std::nullopt;
  auto files = http::StaticFiles::open(root, config.duration("viewer.stall_timeout"));
  if (!files) throw ConfigError("http.root: " + files.error().text);
  return std::move(*files);
}

std::string shown(const Endpoint& endpoint) {
  return to_string(
      {.host = endpoint.host.empty() ? "127.0.0.1" : endpoint.host, .port = endpoint.port});
}

void print_welcome(const Config& config, const ProxyNode::Ports& ports) {
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
  if (!ports.rtmps.empty()) {
    const std::string at = shown(endpoint_of(ports.rtmps, *config.listen("listen.rtmps")));
    std::printf("  both      rtmps://%s/live/test\n", at.c_str());
  }
  if (!ports.https.empty()) {
    const std::string at = shown(endpoint_of(ports.https, *config.listen("listen.https")));
    std::printf("  play      https://%s/live/test.flv\n", at.c_str());
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
                                                  ControlHandlers reading, ControlHandlers all,
                                                  const std::shared_ptr<TlsServer>& tls) {
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
  options.tls = tls;
  open("listen.system_https");
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
  const ProxyNode::Ports ports = open_ports(config, workers);
  const std::shared_ptr<TlsServer> tls = tls_server_of(config);

  Metrics metrics(WEIR_VERSION);
  std::optional<TlsDoor> door;
  if (tls) door.emplace(tls, tls_door_options_of(config), metrics);
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
                        ControlHandlers::reading(control), std::move(all), tls);

  loops.start();
  SessionDirectory sessions(loops);
  ClusterClient cluster(loops[0]);
  loops[0].post([&] { loops[0].spawn(routing.run()); });
  std::optional<SharedWebrtcStore> webrtc_store;
  if (SharedState* state = routing.shared_state()) webrtc_store.emplace(loops[0], *state);
  std::unique_ptr<EdgeNode> edge_node;
  std::unique_ptr<ProxyNode> proxy_node;
  if (edge) {
    auto options = edge_options_of(config, node, served);
    if (door) options.tls = &*door;
    const EdgeNode::Ports taken{ports.rtmp, ports.http, ports.rtmps, ports.https};
    edge_node =
        std::make_unique<EdgeNode>(loops, std::move(options), routing, admission, metrics, taken);
  } else {
    auto options = proxy_options_of(config, node, served, ports);
    if (webrtc_store) options.webrtc_store = &*webrtc_store;
    if (door) options.tls = &*door;
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
