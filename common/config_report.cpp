#include "common/config_report.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>

#include "common/options.h"

namespace weir {
namespace {

constexpr std::string_view kListen = "listen.";

bool is_loopback(const std::string& host) {
  static const CidrList loopback = *CidrList::parse("loopback");
  return host == "localhost" || loopback.contains(host);
}

std::string words(const std::vector<std::string>& all, std::string_view between = ", ") {
  return fmt::format("{}", fmt::join(all, between));
}

class Reporter {
 public:
  Reporter(const Config& config, const ThisMachine& machine)
      : config_(config), machine_(machine), edge_(config.text("role") == "edge") {}

  ConfigReport report() {
    node();
    listeners();
    upstreams();
    if (edge_) {
      pulling();
      cache();
    } else {
      state();
    }
    add("limits", fmt::format("{} connections, {} from one address", text("limits.connections"),
                              text("limits.per_address")));
    access();
    add("log", fmt::format("{} and worse, as {}", text("log.level"), text("log.format")));
    add("end", fmt::format("clients may go on for {}, all is over after {}", text("shutdown.grace"),
                           text("shutdown.force")));
    changed();
    warn_of_access();
    warn_of_upstreams();
    warn_of_machine();
    for (const auto& warning : config_.warnings()) report_.warnings.push_back(warning);
    return std::move(report_);
  }

 private:
  void add(std::string what, std::string line) {
    report_.lines.push_back({std::move(what), std::move(line)});
  }
  void warn(std::string line) { report_.warnings.push_back(std::move(line)); }
  const std::string& text(std::string_view key) const { return config_.text(key); }

  void node() {
    const auto loops = config_.integer("workers") > 0
                           ? static_cast<std::size_t>(config_.integer("workers"))
                           : machine_.cores;
    add("role", fmt::format("{}, {} event loop{}", text("role"), loops, loops == 1 ? "" : "s"));
    add("node", fmt::format("{}{}", text("node.id").empty() ? "a random name" : text("node.id"),
                            text("node.zone").empty() ? "" : ", zone " + text("node.zone")));
  }

  void listeners() {
    const auto on = config_.listeners();
    std::string what = "listens";
    for (const auto& [option, written] : on) {
      const auto endpoint = *config_.listen(option);
      const auto* known = find_option(option);
      const bool other_role = known->roles == (edge_ ? Roles::Proxy : Roles::Edge) ||
                              (edge_ && (option == "listen.webrtc" || option == "listen.srt"));
      if (other_role) continue;
      const auto where = endpoint.host.empty()        ? "every address"
                         : is_loopback(endpoint.host) ? "this machine only"
                                                      : endpoint.host;
      add(what, fmt::format("{:<8} port {:<6} {}", option.substr(kListen.size()),
                            endpoint.port == 0 ? "any" : std::to_string(endpoint.port), where));
      what.clear();
    }
    if (!what.empty()) add(what, "nowhere");
  }

  void upstreams() {
    std::string what = edge_ ? "pulls from" : "relays to";
    for (const UpstreamConfig& each : config_.upstreams()) {
      std::vector<std::string> speaks;
      const auto offer = [&speaks](const char* protocol, const std::optional<Endpoint>& at) {
        if (at) speaks.push_back(fmt::format("{} {}", protocol, to_string(*at)));
      };
      offer("rtmp", each.rtmp);
      offer("http", each.http);
      offer("api", each.api);
      offer("webrtc", each.webrtc);
      offer("srt", each.srt);
      offer("rtsp", each.rtsp);
      add(what, fmt::format("{}: {}; weight {}{}", each.name, words(speaks), each.weight,
                            each.zone.empty() ? "" : ", zone " + each.zone));
      what.clear();
    }
    if (edge_ && text("upstream.discover") == "redis") {
      add(what, "the proxies that share " + redis());
      what.clear();
    }
    if (!edge_ && config_.listeners().contains("listen.system")) {
      add(what, fmt::format("origins that register at listen.system, from {}",
                            text("system.allow").empty() ? "nowhere" : text("system.allow")));
      what.clear();
    }
    if (!what.empty()) add(what, edge_ ? "nobody: it serves what is published to it" : "nobody");
    add("balance",
        text("balance") == "auto" ? edge_ ? "rendezvous" : "least_streams" : text("balance"));
    add("probes", text("health.check") == "off"
                      ? "off"
                      : fmt::format("{}, each {}, given up after {}", text("health.check"),
                                    text("health.interval"), text("health.timeout")));
  }

  std::string redis() const {
    return text("redis.sentinels").empty()
               ? fmt::format("Redis at {}:{}", text("redis.host"), text("redis.port"))
               : fmt::format("the Redis that the sentinels {} name", text("redis.sentinels"));
  }

  void state() {
    const bool shared = text("state.backend") == "redis";
    const auto kept = text("state.path").empty() ? "memory" : text("state.path");
    add("state", shared ? fmt::format("shared with other proxies in {}{}", redis(),
                                      config_.boolean("redis.tls") ? ", over TLS" : "")
                        : fmt::format("of this proxy alone, in {}", kept));
  }

  void pulling() {
    add("streams", fmt::format("pulled by {}, let go {} after the last viewer, each at most {} of "
                               "memory for a protocol",
                               text("edge.pull"), text("edge.linger"), text("edge.log_max")));
  }

  void cache() {
    const auto& path = text("cache.path");
    add("cache", fmt::format("{} in memory, {}", text("cache.memory"),
                             path.empty() ? "no disk" : text("cache.disk") + " in " + path));
  }

  void access() {
    const auto on = config_.listeners();
    std::vector<std::string> encrypted;
    for (const auto& [option, at] : on)
      if (option.ends_with("rtmps") || option.ends_with("https")) encrypted.push_back(option);
    add("TLS", encrypted.empty() ? "off" : words(encrypted));
    std::vector<std::string> rules;
    for (const auto& change : config_.changes())
      if (change.key.starts_with("access.")) rules.push_back(change.key);
    add("who may", rules.empty() ? "anybody publishes and plays" : "as these say: " + words(rules));
    add("API", text("api.token").empty()
                   ? "read by whoever reaches it, changed from this machine alone"
                   : "for who has api.token");
    const auto& console = text("console.path");
    add("console", console.empty() || !on.contains("listen.system") ? "off"
                   : console == "auto" ? "/console/ on listen.system, if it is installed"
                                       : "/console/ on listen.system, from " + console);
  }

  void changed() {
    std::string what = "changed";
    for (const auto& change : config_.changes()) {
      add(what, fmt::format("{} = {} ({})", change.key, change.value, change.where));
      what.clear();
    }
  }

  void warn_of_access() {
    const bool token = !text("api.token").empty();
    const auto system = config_.listen("listen.system");
    const bool open = system && !is_loopback(system->host);
    if (open && !token)
      warn(
          "listen.system is open to other hosts without api.token: whoever reaches it sees every "
          "stream and client");
    if (open && token)
      warn(
          "listen.system is open to other hosts: api.token travels as it is unless the way is "
          "encrypted");
    if (config_.networks("forwarded.from").contains("192.0.2.1"))
      warn("forwarded.from lets every host say whose its requests are");
    if (open && !edge_ && config_.networks("system.allow").contains("192.0.2.1"))
      warn("system.allow lets every host register as an origin, and so take streams over");
    const auto api = config_.listen("listen.api");
    if (api && !is_loopback(api->host) && !token)
      warn(
          "listen.api is open to other hosts without api.token: whoever reaches it sees every "
          "stream and client");
    const bool redis_used =
        edge_ ? text("upstream.discover") == "redis" : text("state.backend") == "redis";
    if (redis_used && text("redis.sentinels").empty() && !is_loopback(text("redis.host"))) {
      if (!config_.boolean("redis.tls")) warn("redis.tls is off, and Redis is on another host");
      if (text("redis.password").empty())
        warn("redis.password is empty, and Redis is on another host");
    }
    if (edge_ && !text("cache.purge_token").empty() && text("cache.purge_token").size() < 16)
      warn("cache.purge_token is short enough to be guessed");
    if (token && text("api.token").size() < 16) warn("api.token is short enough to be guessed");
  }

  void warn_of_upstreams() {
    const auto on = config_.listeners();
    const auto all = config_.upstreams();
    for (const UpstreamConfig& each : all) {
      if (edge_ && !each.rtmp && !each.http)
        warn(fmt::format("upstream.{} offers neither rtmp nor http: nothing can be pulled from it",
                         each.name));
      for (const auto& [option, at] :
           {std::pair{"listen.rtmp", each.rtmp}, std::pair{"listen.http", each.http}}) {
        const auto own = config_.listen(option);
        if (own && at && own->port == at->port && own->port != 0 && is_loopback(at->host))
          warn(fmt::format("upstream.{} is {} of this node: a loop", each.name, option));
      }
    }
    if (!edge_ && all.empty() && !on.contains("listen.system"))
      warn("this proxy has no upstream, and without listen.system none can register");
    if (!edge_ && text("state.backend") == "redis" && text("node.id").empty() &&
        !on.contains("listen.system"))
      warn("listen.system is off: this proxy shares routes, but cannot be watched");
    for (const auto& change : config_.changes())
      if (find_option(change.key)->roles == (edge_ ? Roles::Proxy : Roles::Edge))
        warn(fmt::format("{} has no meaning in the role {}", change.key, text("role")));
  }

  void warn_of_machine() {
    namespace fs = std::filesystem;
    const auto connections = static_cast<std::uint64_t>(config_.integer("limits.connections"));
    const std::uint64_t files = connections * (edge_ ? 1 : 2);
    if (machine_.open_files > 0 && files > machine_.open_files)
      warn(
          fmt::format("limits.connections = {} needs {} open files, and this shell allows {} "
                      "(ulimit -n, LimitNOFILE=)",
                      connections, files, machine_.open_files));
    if (edge_ && machine_.memory > 0 && config_.size("cache.memory") > machine_.memory / 2)
      warn(fmt::format("cache.memory = {} is more than half of this machine's memory",
                       text("cache.memory")));
    for (const char* key : {"cache.path", "state.path", "http.root", "console.path"}) {
      const auto& folder = text(key);
      std::error_code failed;
      if (folder.empty() || folder == "auto" || fs::is_directory(folder, failed)) continue;
      if (fs::is_directory(fs::path(folder).parent_path(), failed) && key[0] != 'h') continue;
      warn(fmt::format("{}: there is no folder {}", key, folder));
    }
  }

  const Config& config_;
  const ThisMachine& machine_;
  const bool edge_;
  ConfigReport report_;
};

}  // namespace

ThisMachine ThisMachine::look() {
  ThisMachine machine{.cores = std::max(1U, std::thread::hardware_concurrency())};
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0)
    machine.memory = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) machine.open_files = files.rlim_cur;
  return machine;
}

ConfigReport report_of(const Config& config, const ThisMachine& machine) {
  return Reporter(config, machine).report();
}

std::string ConfigReport::text() const {
  std::string out;
  for (const Line& line : lines) out += fmt::format("{:<11} {}\n", line.what, line.text);
  if (!warnings.empty()) out += '\n';
  for (const auto& warning : warnings) out += fmt::format("warning: {}\n", warning);
  return out;
}

}  // namespace weir
