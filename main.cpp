// main.cpp
// Puts a node together from its configuration and takes it apart again: no logic of its own.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "common/access_log.h"
#include "common/command_line.h"
#include "common/config.h"
#include "common/config_report.h"
#include "common/departure.h"
#include "common/http/h2_session.h"
#include "common/log.h"
#include "common/options.h"
#include "common/predecessor.h"
#include "common/session_recorder.h"
#include "common/systemd.h"
#include "edge/demo.h"
#include "edge/node.h"
#include "proxy/access/access_setup.h"
#include "proxy/cluster_client.h"
#include "proxy/console.h"
#include "proxy/routing_setup.h"
#include "proxy/stream_metrics.h"
#include "proxy/system_apis.h"
#include "proxy/top.h"
#include "proxy/upgrade.h"
#include "proxy/webrtc_shared_store.h"

namespace {

using namespace weir;

constexpr milliseconds kUnwind{5000};
constexpr milliseconds kLeastUnwind{500};
constexpr milliseconds kAnswer{1000};
constexpr milliseconds kReload{5000};
constexpr milliseconds kLastNotices{1000};

Config load(const CommandLine& line) {
  return Config::load({.file = line.config_file,
                       .environment = process_environment(),
                       .dotenv = read_optional_file(".env").value_or(""),
                       .overrides = line.overrides,
                       .role = line.role});
}

// What is wrong with it as far as that can be told without running: also what files hold.
Config check(const CommandLine& line) {
  Config config = load(line);
  static_cast<void>(access_settings_of(config, config.text("node.id")));
  return config;
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
    std::printf("  metrics   http://%s/metrics\n  console   http://%s/console/\n",
                shown(*system).c_str(), shown(*system).c_str());
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

std::unique_ptr<AccessLog> open_access_log(const Config& config, Metrics& metrics) {
  const std::string& path = config.text("access_log.path");
  if (path.empty()) return nullptr;
  return std::make_unique<AccessLog>(
      AccessLog::Options{.path = path, .requests = config.boolean("access_log.requests")}, metrics);
}

// What anybody may see.
SystemPages::Handlers public_handlers(Metrics& metrics, LoopGroup& loops, const NodeState& state,
                                      ControlView& view) {
  return {.metrics = [&metrics] { return metrics.text(); },
          .unwell =
              [&loops] {
                return loops.answer(kAnswer) ? std::vector<std::string>{}
                                             : std::vector<std::string>{"a loop does not answer"};
              },
          .not_ready =
              [&state] {
                const char* reason = state;
                return reason != nullptr ? std::vector<std::string>{reason}
                                         : std::vector<std::string>{};
              },
          .control = ControlHandlers::reading(view)};
}

SystemPages public_pages(const Config& config, const NodeIdentity& identity,
                         SystemPages::Handlers handlers) {
  return {identity, config.networks("system.allow"), std::move(handlers), config.text("api.token")};
}

SystemApis::Handlers system_handlers(SystemPages::Handlers handlers, ControlHandlers all,
                                     Console& console, Routing& routing) {
  handlers.control = std::move(all);
  console.join(handlers);
  handlers.registered = [&routing](const Registration& registration) -> Result<void> {
    return routing.heartbeat_from_outside(registration, kAnswer);
  };
  return {{"listen.system", handlers}, {"listen.system_https", handlers}};
}

NodeIdentity identity_of(const std::string& node) {
  return {.server = node,
          .service = random_id(),
          .pid = std::to_string(::getpid()),
          .version = WEIR_VERSION};
}

std::size_t worker_count(const Config& config) {
  const auto wanted = config.integer("workers");
  return wanted > 0 ? static_cast<std::size_t>(wanted)
                    : std::max(1U, std::thread::hardware_concurrency());
}

OpenPorts all_of(OpenPorts some, OpenPorts others) {
  some.merge(others);
  return some;
}

// The node that a configuration means, unless a URL names another.
TopOptions top_options(const CommandLine& line) {
  const Config config = load(line);
  TopOptions options{.token = line.top_token.value_or(config.text("api.token")),
                     .once = line.top_once,
                     .sort = *top_sort_named(line.top_sort)};
  if (line.top_url)
    options.url = *line.top_url;
  else if (const auto system = config.listen("listen.system"))
    options.url = "http://" + shown(*system);
  return options;
}

// `before` is the process whose place this one takes; null: nobody's.
int serve(const CommandLine& line, std::vector<std::string> arguments, Predecessor* before) {
  const Config config = load(line);
  Departure departure;
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGHUP, SIGUSR2}) departure.on(signal, nullptr);

  log::init(log::level_named(config.text("log.level")),
            log::format_named(config.text("log.format")));
  for (const auto& warning : config.warnings()) log::warn(warning);
  const std::string fallback = before ? before->node() : random_id();
  const std::string node = config.text("node.id").empty() ? fallback : config.text("node.id");
  const bool edge = config.text("role") == "edge";
  const auto files = open_files(config);
  const AccessSettings access_settings = access_settings_of(config, node);
  const std::size_t workers = before ? before->workers() : worker_count(config);
  const OpenPorts known = before ? before->take_ports() : OpenPorts{};
  PortOpener opener(workers, known);
  const ProxyNode::Ports ports = open_ports(config, opener);

  Metrics metrics(WEIR_VERSION);
  TlsDoor tls(config, metrics, http::serve_http2);
  std::unique_ptr<AccessLog> access_log;
  departure.on(SIGUSR1, [&access_log] {
    if (access_log) access_log->reopen();
  });
  access_log = open_access_log(config, metrics);
  Reload reload(config, [&line] { return load(line); }, metrics);
  LoopGroup loops(workers);
  Systemd systemd(process_environment());
  if (const auto period = systemd.interval())
    departure.meanwhile(*period, [&] {
      systemd.keep_alive([&](milliseconds patience) { return loops.answer(patience); },
                         Clock::now());
    });
  Routing routing(loops[0], router_of(config), metrics,
                  sharing_of(config, node, reached_at(config, ports)), health_check_of(config));
  const bool keeps_state =
      !config.text("state.path").empty() && !edge && config.text("state.backend") == "memory";
  if (keeps_state && !before)
    routing.keep_state(std::make_unique<StateKeeper>(config.text("state.path"), metrics),
                       config.duration("route.expire"));
  if (before)
    for (const std::string& state : before->state()) routing.hear(state);
  Admission admission(static_cast<std::size_t>(config.integer("limits.connections")),
                      static_cast<std::size_t>(config.integer("limits.per_address")),
                      {.from = config.networks("proxy_protocol.from"),
                       .patience = config.duration("proxy_protocol.timeout")});
  auto connections =
      metrics.sample(Metrics::Type::Gauge, "weir_connections", "Client connections.", {},
                     [&] { return static_cast<double>(admission.connections()); });
  auto refused = metrics.sample(Metrics::Type::Counter, "weir_connections_refused_total",
                                "Connections closed because a limit was reached.", {},
                                [&] { return static_cast<double>(admission.refused()); });
  // The last ports that may not be had: nothing runs yet that would have to be stopped.
  NodeState not_ready = "starting";
  const std::string status = fmt::format("role {}, node {}", config.text("role"), node);
  ControlView control(loops, routing, control_options(config, not_ready));
  const auto read_again = [&] {
    systemd.reloading();
    auto report = reload.run();
    systemd.ready(status);
    return report;
  };
  ControlHandlers all = ControlHandlers::all(control);
  all.drain = [&departure] { departure.ask(); };
  all.reload = [&] { return departure.ask_main(read_again, kReload); };
  const NodeIdentity identity = identity_of(node);
  std::optional<Console> console(std::in_place, config, identity, control);
  const auto anybody = public_handlers(metrics, loops, not_ready, control);
  std::optional<SystemDesk> desk(std::in_place, public_pages(config, identity, anybody));
  SystemApis apis(identity, system_handlers(anybody, std::move(all), *console, routing),
                  console->events(), tls.server, config, known);

  loops.start();
  SessionDirectory sessions(loops, kAnswer, [&metrics, log = access_log.get()] {
    return std::make_unique<SessionRecorder>(metrics, log);
  });
  AccessControl access(loops, access_settings, metrics);
  ClusterClient cluster(loops[0]);
  loops[0].post([&] { loops[0].spawn(routing.run()); });
  std::optional<SharedWebrtcStore> webrtc_store;
  if (SharedState* state = routing.shared_state()) webrtc_store.emplace(loops[0], *state);
  std::optional<Node> role(
      std::in_place,
      Node::Context{.id = node,
                    .loops = loops,
                    .routing = routing,
                    .admission = admission,
                    .tls = tls,
                    .metrics = metrics,
                    .desk = *desk,
                    .files = files ? &*files : nullptr,
                    .webrtc_store = webrtc_store ? &*webrtc_store : nullptr,
                    .older = before ? Node::sharing(before->take_passes(), before->secret())
                                    : ProxyNode::Sharing{}},
      config, ports, opener.keep());
  control.attach({.sessions = &sessions, .cluster = &cluster, .streams = role->streams()});
  const StreamMetrics stream_metrics(
      metrics, sessions, role->streams(),
      {.top = static_cast<std::size_t>(config.integer("metrics.top_streams")),
       .identity = identity,
       .role = config.text("role"),
       .zone = config.text("node.zone")});
  const auto ports_of_all = [&] { return all_of(role->ports(), apis.ports()); };
  close_others(known, ports_of_all());
  // Whatever else takes a changed configuration up is added here. Certificates are there before the
  // listeners that show them.
  for (auto& part : {tls.part(), role->part(), apis.part(), limits_part(admission)})
    reload.add(part);
  reload.add([&](const Config&, const Config& after) -> Reload::Commit {
    return [&desk, pages = public_pages(after, identity, anybody)]() mutable {
      desk->change(std::move(pages));
    };
  });
  reload.add([&access, node](const Config&, const Config& after) -> Reload::Commit {
    return [&access, settings = access_settings_of(after, node)]() mutable {
      access.apply(std::move(settings));
    };
  });
  departure.on(SIGHUP, [&] { static_cast<void>(read_again()); });
  not_ready = nullptr;
  if (!before) print_welcome(config, ports);
  log::info(
      "ready",
      {{"node", node}, {"role", config.text("role")}, {"workers", workers}, {"pid", ::getpid()}});

  if (before) {
    before->ready();
    if (keeps_state)
      routing.begin_to_keep(std::make_unique<StateKeeper>(config.text("state.path"), metrics),
                            config.duration("route.expire"));
    before->follow([&](const std::string& state) { routing.hear(state); },
                   [] { log::info("the process before this one has ended"); });
  }
  systemd.ready(status);
  Upgrade upgrade(std::move(arguments), departure, systemd, routing, metrics);
  departure.on(SIGUSR2, [&] {
    if (before && before->present())
      return log::error("no upgrade while the process before this one drains");
    if (upgrade.under_way()) return log::error("an upgrade is under way");
    auto shared = role->offer();
    if (!shared) return log::error("no upgrade", {{"error", shared.error().text}});
    shared->workers = workers;
    shared->node = node;
    shared->ports = ports_of_all();
    upgrade.begin(std::move(*shared), reload.config().duration("upgrade.timeout"));
  });
  const auto why = departure.wait();
  log::info("going away", {{"asked_by", name(why)}, {"pid", ::getpid()}});
  not_ready = "draining";
  const bool upgraded = why == Departure::Reason::Upgraded;
  const auto grace = reload.config().duration(upgraded ? "upgrade.grace" : "shutdown.grace");
  const auto longest = upgraded ? grace : reload.config().duration("shutdown.force");
  const auto force = Clock::now() + longest;
  if (upgraded) {
    apis.stop_accepting();
    role->hand_over();
    role->stop_answering();
  } else {
    routing.leave();
    systemd.stopping(longest + kUnwind);
  }
  role->stop_accepting();
  sessions.drain();
  if (why != Departure::Reason::Interrupt)
    departure.linger(grace, [&admission] { return admission.connections() == 0; });
  apis.close();
  console.reset();
  if (before) before->leave();
  const auto left = std::chrono::duration_cast<milliseconds>(force - Clock::now());
  const bool all_ended = loops.shut_down(std::clamp(left, kLeastUnwind, kUnwind));
  if (!all_ended) {
    log::error("some sessions did not end in time");
    std::_Exit(1);
  }
  access.say_last_words(kLastNotices);
  role.reset();
  desk.reset();
  return 0;
}

int run(const CommandLine& line, std::vector<std::string> arguments) {
  const auto before = Predecessor::find(process_environment());
  try {
    return serve(line, std::move(arguments), before.get());
  } catch (const std::exception& mistake) {
    if (before) before->failed(mistake.what());
    throw;
  }
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
      case CommandLine::Verb::CheckConfig: check(line); return 0;
      case CommandLine::Verb::Demo: return run_demo(line);
      case CommandLine::Verb::Run: return run(line, {argv, argv + argc});
      case CommandLine::Verb::Top: return run_top(top_options(line));
      case CommandLine::Verb::Check:
        std::fputs(report_of(check(line), ThisMachine::look()).text().c_str(), stdout);
        return 0;
    }
  } catch (const std::exception& mistake) {
    std::fprintf(stderr, "weir: %s\n", mistake.what());
    return 1;
  }
}
