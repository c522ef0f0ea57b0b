// common/config.h
// What the operator wants: defaults < file < environment < --set, checked as a whole.
//
// main loads one Config, hands the modules plain structs made of it, and lets it go: nothing else
// in weir asks for an option by name. Every key that is asked for must be in the table of
// common/options.h; another one is our bug and aborts.
//
// Threading: immutable after load(). Errors: ConfigError, one line with file, line and key.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_sources.h"
#include "common/endpoint.h"

namespace weir {

// One [upstream.NAME] section. The endpoints that it does not offer are absent.
struct UpstreamConfig {
  std::string name;
  std::string host;
  std::optional<Endpoint> rtmp;
  std::optional<Endpoint> http;
  std::optional<Endpoint> api;
  std::optional<Endpoint> webrtc;
  std::optional<Endpoint> srt;
  std::optional<Endpoint> rtsp;
  int weight = 1;
  std::string zone;
  bool introduced = false;  // its connections begin with a PROXY header
  std::string tls_name;     // empty: each endpoint's host
  std::string tls_ca;       // empty: the system's store
  bool tls_verify = true;

  bool has_tls() const;  // at one of its endpoints
};

struct ConfigSources {
  std::optional<std::string> file;     // a path
  Variables environment;               // process_environment() in the binary
  std::string dotenv;                  // the text of ./.env, empty when there is none
  std::vector<std::string> overrides;  // KEY=VALUE
  std::optional<std::string> role;     // --role, which wins over all
};

class Config {
 public:
  static Config load(const ConfigSources& sources);
  static Config from_settings(const std::vector<Setting>& settings);  // a later one wins

  // `key` as in the table, patterns excluded; a word such as "auto" has no duration.
  const std::string& text(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  std::uint64_t size(std::string_view key) const;
  std::chrono::milliseconds duration(std::string_view key) const;
  std::optional<std::chrono::milliseconds> optional_duration(std::string_view key) const;
  std::optional<Endpoint> listen(std::string_view key) const;
  // Those that are on, as they are written: "listen.http" -> "127.0.0.1:8080".
  std::map<std::string, std::string> listeners() const;
  std::vector<Endpoint> remotes(std::string_view key) const;
  std::vector<Endpoint> hosts(std::string_view key) const;  // port 0 where none is named
  CidrList networks(std::string_view key) const;

  // To be thrown for a value that is of its kind and yet no good: with the place where it was set.
  ConfigError mistake(std::string_view key, std::string_view what) const;

  std::vector<UpstreamConfig> upstreams() const;  // the enabled ones, by name

  // The keys whose values differ, those of upstreams in full, in order.
  std::vector<std::string> differences(const Config& other) const;
  // Takes the value of `key`, which is no upstream's, from there.
  void adopt(const std::string& key, const Config& from) { entries_[key] = from.entry(key); }
  struct Change {
    std::string key;
    std::string value;  // of a secret: "(not shown)"
    std::string where;
  };
  // What somebody has set, but for upstreams.
  std::vector<Change> changes() const;

  // Every effective value with where it came from, readable as a configuration file; secrets left
  // out.
  std::string print() const;

  // What the caller should log once: variables that look meant for weir and are not.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Entry {
    std::string value;
    std::string where;
    std::string label;
  };

  Config();
  void set(const Setting& setting);
  void cross_check() const;
  void check_order(std::string_view low, std::string_view high) const;
  void check_redis() const;
  void check_upstreams() const;
  void check_tls() const;
  const Entry& entry(std::string_view key) const;
  std::string upstream_text(std::string_view name, std::string_view field) const;
  std::vector<std::string> upstream_names() const;

  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> warnings_;
};

}  // namespace weir
