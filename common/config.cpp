#include "common/config.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <set>

#include "common/check.h"
#include "common/options.h"

namespace weir {
namespace {

constexpr std::string_view kUpstream = "upstream.";
constexpr std::array<std::string_view, 6> kUpstreamEndpoints{"rtmp",   "http", "api",
                                                             "webrtc", "srt",  "rtsp"};

std::string upstream_key(std::string_view name, std::string_view field) {
  return fmt::format("upstream.{}.{}", name, field);
}

[[noreturn]] void fail_setting(std::string_view label, std::string_view what) {
  throw ConfigError(fmt::format("{}: {}", label, what));
}

// As read_ini() reads it back.
std::string as_written(const std::string& value) {
  const bool plain = !value.starts_with('"') && !value.starts_with(' ') && !value.ends_with(' ') &&
                     value.find_first_of(";#") == std::string::npos;
  if (plain) return value;
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string print_line(std::string_view name, const std::string& value, std::string_view where) {
  return fmt::format("{:<36} ; {}\n", fmt::format("{} = {}", name, as_written(value)), where);
}

}  // namespace

Config::Config() {
  for (const Option& option : options())
    if (!option.is_pattern())
      entries_.emplace(
          option.key, Entry{std::string(option.default_value), "default", std::string(option.key)});
}

Config Config::load(const ConfigSources& sources) {
  std::vector<Setting> settings;
  if (sources.file) settings = read_ini(read_config_file(*sources.file), *sources.file);
  auto environment = read_environment(sources.environment, sources.dotenv, settings);
  for (Setting& setting : environment.settings) settings.push_back(std::move(setting));
  for (const std::string& text : sources.overrides) settings.push_back(read_override(text));
  if (sources.role) settings.push_back({"role", *sources.role, "--role", "--role"});
  Config config = from_settings(settings);
  config.warnings_ = std::move(environment.warnings);
  return config;
}

Config Config::from_settings(const std::vector<Setting>& settings) {
  Config config;
  for (const Setting& setting : settings) config.set(setting);
  config.cross_check();
  return config;
}

void Config::set(const Setting& setting) {
  const Option* option = find_option(setting.key);
  if (option == nullptr || setting.key.find('*') != std::string::npos) {
    const auto near = nearest_key(setting.key);
    fail_setting(setting.label, near.empty()
                                    ? "unknown option, see weir --help=all"
                                    : fmt::format("unknown option, did you mean {}?", near));
  }
  if (const auto good = check_value(option->kind, option->allowed, setting.value); !good)
    fail_setting(setting.label, good.error());
  entries_[setting.key] = {setting.value, setting.where, setting.label};
}

// Everything that two or more options have to agree on.
void Config::cross_check() const {
  check_order("edge.retry_min", "edge.retry_max");
  check_order("origin.eject", "origin.eject_max");
  check_order("shutdown.grace", "shutdown.force");
  check_redis();

  std::map<std::string, std::string_view> taken;
  for (const std::string_view key :
       {"listen.rtmp", "listen.http", "listen.api", "listen.rtsp", "listen.system", "listen.webrtc",
        "listen.srt", "listen.rtmps", "listen.https", "listen.api_https", "listen.system_https"}) {
    const auto endpoint = listen(key);
    if (!endpoint || endpoint->port == 0) continue;
    const bool udp = key == "listen.webrtc" || key == "listen.srt";
    const auto address =
        fmt::format("{} {} {}", udp ? "udp" : "tcp", endpoint->host, endpoint->port);
    if (const auto [other, fresh] = taken.emplace(address, key); !fresh) {
      const bool here = entry(key).where != "default";
      fail_setting(entry(here ? key : other->second).label,
                   fmt::format("the same address as {}", here ? other->second : key));
    }
  }
  check_upstreams();
  check_tls();
}

void Config::check_tls() const {
  if (!text("tls.certificates").empty()) return;
  for (const auto* key :
       {"listen.rtmps", "listen.https", "listen.api_https", "listen.system_https"})
    if (!text(key).empty()) fail_setting(entry(key).label, "needs tls.certificates");
}

void Config::check_redis() const {
  const auto needs = [&](std::string_view key, std::string_view other) {
    if (!text(key).empty() && text(other).empty())
      fail_setting(entry(key).label, fmt::format("needs {}", other));
  };
  needs("redis.sentinels", "redis.master_name");
  needs("redis.user", "redis.password");
  needs("redis.tls_cert", "redis.tls_key");
  needs("redis.tls_key", "redis.tls_cert");
  if (boolean("redis.tls")) return;
  for (const auto* key :
       {"redis.tls_ca", "redis.tls_cert", "redis.tls_key", "redis.tls_server_name"})
    if (!text(key).empty()) fail_setting(entry(key).label, "needs redis.tls = on");
}

void Config::check_order(std::string_view low, std::string_view high) const {
  if (duration(low) <= duration(high)) return;
  const bool low_set = entry(low).where != "default";
  fail_setting(entry(low_set ? low : high).label,
               fmt::format("{} ({}) is longer than {} ({})", low, text(low), high, text(high)));
}

void Config::check_upstreams() const {
  for (const std::string& name : upstream_names()) {
    if (!*parse_boolean(upstream_text(name, "enabled"))) continue;
    const auto first = entries_.lower_bound(upstream_key(name, ""));
    const auto host = upstream_text(name, "host");
    bool offers = false;
    for (const auto field : kUpstreamEndpoints) {
      const auto value = upstream_text(name, field);
      if (value.empty()) continue;
      offers = true;
      const auto endpoint = parse_endpoint(value, host);
      if (!endpoint || endpoint->host.empty())
        fail_setting(entry(upstream_key(name, field)).label,
                     fmt::format("needs {}, an address or a name", upstream_key(name, "host")));
      if (endpoint->port == 0) fail_setting(entry(upstream_key(name, field)).label, "needs a port");
      if (endpoint->tls && field != "rtmp" && field != "http" && field != "api")
        fail_setting(entry(upstream_key(name, field)).label, "is not spoken over TLS");
    }
    if (!offers)
      fail_setting(first->second.label,
                   fmt::format("{}{} needs at least one of rtmp, http, api, webrtc, srt, rtsp",
                               kUpstream, name));
  }
}

const Config::Entry& Config::entry(std::string_view key) const {
  const auto found = entries_.find(key);
  INVARIANT(found != entries_.end(), key);
  return found->second;
}

const std::string& Config::text(std::string_view key) const { return entry(key).value; }
bool Config::boolean(std::string_view key) const { return parse_boolean(text(key)).value(); }
std::int64_t Config::integer(std::string_view key) const {
  return parse_integer(text(key)).value();
}
double Config::number(std::string_view key) const { return parse_number(text(key)).value(); }
std::uint64_t Config::size(std::string_view key) const { return parse_size(text(key)).value(); }

std::chrono::milliseconds Config::duration(std::string_view key) const {
  return parse_duration(text(key)).value();
}

std::optional<std::chrono::milliseconds> Config::optional_duration(std::string_view key) const {
  const Option* option = find_option(key);
  INVARIANT(option != nullptr, key);
  if (is_word_of(option->allowed, text(key))) return std::nullopt;
  return duration(key);
}

std::optional<Endpoint> Config::listen(std::string_view key) const {
  if (text(key).empty()) return std::nullopt;
  return parse_listen(text(key)).value();
}

std::map<std::string, std::string> Config::listeners() const {
  std::map<std::string, std::string> on;
  for (const Option& option : options())
    if (option.kind == Kind::Listen && !text(option.key).empty())
      on.emplace(option.key, text(option.key));
  return on;
}

std::vector<Endpoint> Config::remotes(std::string_view key) const {
  return parse_endpoints(text(key)).value();
}

std::vector<Endpoint> Config::hosts(std::string_view key) const {
  return parse_hosts(text(key)).value();
}

CidrList Config::networks(std::string_view key) const { return CidrList::parse(text(key)).value(); }

ConfigError Config::mistake(std::string_view key, std::string_view what) const {
  return ConfigError(fmt::format("{}: {}", entry(key).label, what));
}

std::vector<std::string> Config::upstream_names() const {
  std::set<std::string> names;
  for (auto it = entries_.lower_bound(kUpstream); it != entries_.end(); ++it) {
    const std::string_view key = it->first;
    if (!key.starts_with(kUpstream)) break;
    const auto dot = key.rfind('.');
    if (dot >= kUpstream.size())
      names.emplace(key.substr(kUpstream.size(), dot - kUpstream.size()));
  }
  return {names.begin(), names.end()};
}

std::string Config::upstream_text(std::string_view name, std::string_view field) const {
  const auto key = upstream_key(name, field);
  if (const auto found = entries_.find(key); found != entries_.end()) return found->second.value;
  const Option* option = find_option(key);
  INVARIANT(option != nullptr, key);
  return std::string(option->default_value);
}

std::vector<UpstreamConfig> Config::upstreams() const {
  std::vector<UpstreamConfig> result;
  for (const std::string& name : upstream_names()) {
    if (!*parse_boolean(upstream_text(name, "enabled"))) continue;
    UpstreamConfig upstream;
    upstream.name = name;
    upstream.host = upstream_text(name, "host");
    upstream.weight = static_cast<int>(*parse_integer(upstream_text(name, "weight")));
    upstream.zone = upstream_text(name, "zone");
    upstream.tls_name = upstream_text(name, "tls_name");
    upstream.tls_ca = upstream_text(name, "tls_ca");
    upstream.tls_verify = *parse_boolean(upstream_text(name, "tls_verify"));
    upstream.introduced = upstream_text(name, "proxy_protocol") == "v2";
    const auto endpoint = [&](std::string_view field) -> std::optional<Endpoint> {
      const auto value = upstream_text(name, field);
      if (value.empty()) return std::nullopt;
      return parse_endpoint(value, upstream.host).value();
    };
    upstream.rtmp = endpoint("rtmp");
    upstream.http = endpoint("http");
    upstream.api = endpoint("api");
    upstream.webrtc = endpoint("webrtc");
    upstream.srt = endpoint("srt");
    upstream.rtsp = endpoint("rtsp");
    result.push_back(std::move(upstream));
  }
  return result;
}

bool UpstreamConfig::has_tls() const {
  return (rtmp && rtmp->tls) || (http && http->tls) || (api && api->tls);
}

std::vector<std::string> Config::differences(const Config& other) const {
  const auto value = [](const Config& config, const std::string& key) -> std::string_view {
    const auto found = config.entries_.find(key);
    return found == config.entries_.end() ? find_option(key)->default_value : found->second.value;
  };
  std::set<std::string> keys;
  for (const auto* config : {this, &other})
    for (const auto& [key, entry] : config->entries_) keys.insert(key);
  std::erase_if(keys,
                [&](const std::string& key) { return value(*this, key) == value(other, key); });
  return {keys.begin(), keys.end()};
}

std::vector<Config::Change> Config::changes() const {
  std::vector<Change> changes;
  for (const Option& option : options()) {
    if (option.is_pattern()) continue;
    const Entry& set = entry(option.key);
    if (set.where == "default") continue;
    const bool hidden = option.kind == Kind::Secret && !set.value.empty();
    changes.push_back({std::string(option.key), hidden ? "(not shown)" : set.value, set.where});
  }
  return changes;
}

std::string Config::print() const {
  std::string out;
  for (const Section& section : sections()) {
    if (section.name == "upstream.*") {
      for (const std::string& name : upstream_names()) {
        out += fmt::format("\n[upstream.{}]\n", name);
        for (const Option& option : options()) {
          if (option.section() != section.name) continue;
          const auto found = entries_.find(upstream_key(name, option.name()));
          out += print_line(option.name(), upstream_text(name, option.name()),
                            found == entries_.end() ? "default" : found->second.where);
        }
      }
      continue;
    }
    if (!section.name.empty()) out += fmt::format("\n[{}]\n", section.name);
    for (const Option& option : options()) {
      if (option.section() != section.name) continue;
      const Entry& value = entry(option.key);
      if (option.kind == Kind::Secret && !value.value.empty())
        out += fmt::format("; {} is set and not shown ; {}\n", option.name(), value.where);
      else
        out += print_line(option.name(), value.value, value.where);
    }
  }
  return out;
}

}  // namespace weir
