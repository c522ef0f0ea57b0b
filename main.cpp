// main.cpp
// Puts a node together from its configuration and takes it apart again: no logic of its own.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "common/command_line.h"
#include "common/config.h"
#include "common/log.h"
#include "common/options.h"
#include "edge/demo.h"
#include "edge/edge_node.h"
#include "proxy/proxy_node.h"
#include "proxy/system_api.h"

namespace {

using namespace weir;

constexpr milliseconds kUnwind{5000};
constexpr milliseconds kLeastUnwind{500};
constexpr milliseconds kLook{50};
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

EdgeOptions edge_options(const Config& config, const std::string& node,
                         const http::StaticFiles* files) {
  EdgeOptions options;
  options.node_id = node;
  options.standalone = config.upstreams().empty();
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

ProxyNode::Options proxy_options(const Config& config, const std::string& node,
                                 const http::StaticFiles* files) {
  ProxyNode::Options options;
  options.rtmp = {.node_id = node,
                  .max_hops = static_cast<int>(config.integer("edge.max_hops")),
                  .handshake_timeout = config.duration("rtmp.handshake_timeout"),
                  .request_timeout = config.duration("rtmp.request_timeout"),
                  .stall_timeout = config.duration("viewer.stall_timeout"),
                  .window_ack = static_cast<std::uint32_t>(config.size("rtmp.window_ack")),
                  .limits = rtmp_limits(config),
                  .dial = dial_options(config)};
  options.http.node_id = node;
  options.http.files = files;
  options.http.dial = dial_options(config);
  options.http.stall = config.duration("viewer.stall_timeout");
  options.http.times.head = config.duration("http.head_timeout");
  options.http.limits.head = config.size("http.max_head");
  options.srt = {.dial = dial_options(config),
                 .idle = config.duration("srt.idle_timeout"),
                 .max_pending = static_cast<std::size_t>(config.integer("srt.max_pending"))};
  return options;
}

Upstream upstream_of(const UpstreamConfig& section) {
  Upstream upstream;
  upstream.id = section.name;
  upstream.host = section.host;
  upstream.weight = static_cast<std::uint32_t>(section.weight);
  auto offer = [&](Protocol protocol, const std::optional<Endpoint>& endpoint) {
    if (endpoint) upstream.at(protocol).push_back(*endpoint);
  };
  offer(Protocol::Rtmp, section.rtmp);
  offer(Protocol::Http, section.http);
  offer(Protocol::Api, section.api);
  offer(Protocol::Webrtc, section.webrtc);
  offer(Protocol::Srt, section.srt);
  offer(Protocol::Rtsp, section.rtsp);
  return upstream;
}

Router make_router(const Config& config) {
  MemoryRouteStoreOptions routes;
  routes.lifetime = config.duration("route.expire");
  Router router({.lifetime = config.duration("origin.lifetime"),
                 .backoff = config.duration("origin.eject"),
                 .backoff_cap = config.duration("origin.eject_max"),
                 .max = static_cast<std::size_t>(config.integer("origin.max"))},
                Balancer(*parse_balance(config.text("balance"))),
                std::make_unique<MemoryRouteStore>(routes));
  for (const auto& section : config.upstreams()) {
    auto configured = router.configure(upstream_of(section));
    if (!configured) throw ConfigError("upstream." + section.name + ": " + configured.error().text);
  }
  return router;
}

struct OpenPorts {
  std::vector<int> rtmp;
  std::vector<int> http;
  std::vector<int> srt;
};

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
  if (!ports.srt.empty()) {
    const std::string at = shown(endpoint_of(ports.srt, *config.listen("listen.srt")));
    std::printf("  publish   srt://%s?streamid=#!::r=live/test,m=publish\n", at.c_str());
    std::printf("  play      srt://%s?streamid=#!::r=live/test\n", at.c_str());
  }
  if (const auto system = config.listen("listen.system"); system && system->port != 0)
    std::printf("  metrics   http://%s/metrics\n", shown(*system).c_str());
  std::fflush(stdout);
}

std::vector<std::unique_ptr<SystemApi>> open_apis(const Config& config, const std::string& node,
                                                  Metrics& metrics, Routing& routing,
                                                  const std::atomic<const char*>& not_ready) {
  SystemPages::Handlers handlers;
  handlers.metrics = [&metrics] { return metrics.text(); };
  handlers.not_ready = [&not_ready] {
    const char* reason = not_ready;
    return reason != nullptr ? std::vector<std::string>{reason} : std::vector<std::string>{};
  };
  handlers.upstreams = [&routing] {
    auto states = routing.ask_from_outside(
        [](Router& router) { return router.snapshot(Clock::now()); }, kAnswer);
    return states.value_or(std::vector<UpstreamState>{});
  };
  SystemApi::Options options;
  options.allow = config.networks("system.allow");
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
  open("listen.api");
  handlers.registered = [&routing](const Registration& registration) -> Result<void> {
    auto answer = routing.ask_from_outside(
        [registration](Router& router) { return router.heartbeat(registration, Clock::now()); },
        kAnswer);
    if (!answer) return std::unexpected(answer.error());
    return *answer;
  };
  open("listen.system");
  return apis;
}

std::size_t worker_count(const Config& config) {
  const auto wanted = config.integer("workers");
  return wanted > 0 ? static_cast<std::size_t>(wanted)
                    : std::max(1U, std::thread::hardware_concurrency());
}

// Until the operator wants it to end. REQUIRES: the signals are blocked in all threads.
int wait_for_signal(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

// Lets live connections go on until they end, the time is up, or a second signal comes.
void drain(const Admission& admission, const sigset_t& signals, milliseconds grace) {
  const auto deadline = Clock::now() + grace;
  const timespec look{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kLook).count()};
  while (admission.connections() > 0 && Clock::now() < deadline)
    if (::sigtimedwait(&signals, nullptr, &look) > 0) return;
}

int run(const Config& config) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  log::init(log::level_named(config.text("log.level")),
            log::format_named(config.text("log.format")));
  for (const auto& warning : config.warnings()) log::warn(warning);
  const std::string node = config.text("node.id").empty() ? random_id() : config.text("node.id");
  const bool edge = config.text("role") == "edge";
  const auto files = open_files(config);
  const http::StaticFiles* served = files ? &*files : nullptr;
  const std::size_t workers = worker_count(config);
  const OpenPorts ports{.rtmp = open_tcp("listen.rtmp", config.listen("listen.rtmp"), workers),
                        .http = open_tcp("listen.http", config.listen("listen.http"), workers),
                        .srt = edge ? std::vector<int>()
                                    : open_udp("listen.srt", config.listen("listen.srt"), workers)};

  Metrics metrics(WEIR_VERSION);
  LoopGroup loops(workers);
  Routing routing(loops[0], make_router(config), metrics);
  Admission admission(static_cast<std::size_t>(config.integer("limits.connections")),
                      static_cast<std::size_t>(config.integer("limits.per_address")));
  auto connections =
      metrics.sample(Metrics::Type::Gauge, "weir_connections", "Client connections.", {},
                     [&] { return static_cast<double>(admission.connections()); });
  auto refused = metrics.sample(Metrics::Type::Counter, "weir_connections_refused_total",
                                "Connections closed because a limit was reached.", {},
                                [&] { return static_cast<double>(admission.refused()); });
  // The last ports that may not be had: nothing runs yet that would have to be stopped.
  std::atomic<const char*> not_ready = "starting";
  auto apis = open_apis(config, node, metrics, routing, not_ready);

  loops.start();
  loops[0].post([&] { loops[0].spawn(routing.run()); });
  std::unique_ptr<EdgeNode> edge_node;
  std::unique_ptr<ProxyNode> proxy_node;
  if (edge)
    edge_node =
        std::make_unique<EdgeNode>(loops, edge_options(config, node, served), routing, admission,
                                   metrics, EdgeNode::Ports{ports.rtmp, ports.http});
  else
    proxy_node =
        std::make_unique<ProxyNode>(loops, proxy_options(config, node, served), routing, admission,
                                    metrics, ProxyNode::Ports{ports.rtmp, ports.http, ports.srt});
  not_ready = nullptr;
  print_welcome(config, ports);
  log::info("ready", {{"node", node}, {"role", config.text("role")}, {"workers", workers}});

  const int signal = wait_for_signal(signals);
  log::info("going away", {{"signal", signal}});
  not_ready = "draining";
  const auto force = Clock::now() + config.duration("shutdown.force");
  if (edge_node) edge_node->stop_accepting();
  if (proxy_node) proxy_node->stop_accepting();
  if (signal == SIGTERM) drain(admission, signals, config.duration("shutdown.grace"));
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
