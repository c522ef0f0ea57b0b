#include "common/config_report.h"

#include <catch2/catch.hpp>

namespace weir {
namespace {

constexpr ThisMachine kMachine{.cores = 4, .memory = 8ULL << 30, .open_files = 1'000'000};

ConfigReport report(const std::vector<std::pair<std::string, std::string>>& set,
                    const ThisMachine& machine = kMachine) {
  std::vector<Setting> settings;
  for (const auto& [key, value] : set) settings.push_back({key, value, "weir.conf:1", key});
  return report_of(Config::from_settings(settings), machine);
}

bool says(const ConfigReport& report, const std::string& text) {
  INFO(report.text());
  return report.text().find(text) != std::string::npos;
}

bool warns(const ConfigReport& report, const std::string& text) {
  for (const auto& warning : report.warnings)
    if (warning.find(text) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("check says what a node would do", "[config_report]") {
  const auto edge = report({});
  CHECK(says(edge, "role        edge, 4 event loops\n"));
  CHECK(says(edge, "rtmp     port 1935   every address\n"));
  CHECK(says(edge, "system   port 12025  this machine only\n"));
  CHECK_FALSE(says(edge, "srt "));
  CHECK(says(edge, "pulls from  nobody: it serves what is published to it\n"));
  CHECK(says(edge, "balance     rendezvous\n"));
  CHECK(says(edge, "cache       256MiB in memory, no disk\n"));
  CHECK(says(edge, "TLS         off\nwho may     anybody publishes and plays\n"));
  CHECK_FALSE(says(edge, "\nchanged "));

  const auto proxy = report({{"role", "proxy"},
                             {"workers", "1"},
                             {"listen.rtsp", "10.0.0.1:554"},
                             {"upstream.a.host", "10.0.0.9"},
                             {"upstream.a.rtmp", "1935"},
                             {"upstream.a.srt", "10080"},
                             {"state.backend", "redis"},
                             {"redis.password", "secret"}});
  CHECK(says(proxy, "role        proxy, 1 event loop\n"));
  CHECK(says(proxy, "rtsp     port 554    10.0.0.1\n"));
  CHECK(says(proxy, "relays to   a: rtmp 10.0.0.9:1935, srt 10.0.0.9:10080; weight 1\n"));
  CHECK(says(proxy, "origins that register at listen.system, from loopback, private\n"));
  CHECK(says(proxy, "state       shared with other proxies in Redis at 127.0.0.1:6379\n"));
  CHECK(says(proxy, "redis.password = (not shown) (weir.conf:1)\n"));
  CHECK_FALSE(says(proxy, "secret"));
}

TEST_CASE("check warns of what is open to others", "[config_report]") {
  const std::string open = "listen.system is open to other hosts";
  CHECK_FALSE(warns(report({}), open));
  CHECK_FALSE(warns(report({{"listen.system", "localhost:12025"}}), open));
  CHECK(warns(report({{"listen.system", "12025"}}), open + " without api.token"));
  CHECK(warns(report({{"listen.system_https", "12026"}, {"tls.certificates", "/certificates"}}),
              "listen.system_https is open to other hosts without api.token"));
  CHECK(warns(report({{"listen.system", "12025"}, {"api.token", "0123456789abcdef"}}),
              open + ": api.token travels"));
  CHECK(warns(report({{"api.token", "short"}}), "short enough to be guessed"));
  CHECK_FALSE(warns(report({{"api.token", "0123456789abcdef"}}), "guessed"));
  const std::string register_all = "lets every host register";
  CHECK(warns(report({{"role", "proxy"}, {"listen.system", "1"}, {"system.allow", "0.0.0.0/0"}}),
              register_all));
  CHECK_FALSE(warns(report({{"role", "proxy"}, {"listen.system", "1"}}), register_all));
  CHECK(warns(report({{"role", "proxy"}, {"state.backend", "redis"}, {"redis.host", "10.0.0.2"}}),
              "redis.tls is off"));
  CHECK_FALSE(warns(report({{"redis.host", "10.0.0.2"}}), "redis"));
}

TEST_CASE("check warns of what cannot work", "[config_report]") {
  const auto loop = report({{"upstream.a.host", "127.0.0.1"}, {"upstream.a.rtmp", "1935"}});
  CHECK(warns(loop, "upstream.a is listen.rtmp of this node: a loop"));
  CHECK(
      warns(report({{"upstream.a.host", "h"}, {"upstream.a.srt", "1"}}), "neither rtmp nor http"));
  CHECK(warns(report({{"role", "proxy"}, {"listen.system", ""}}), "none can register"));
  CHECK(warns(report({{"role", "proxy"}, {"cache.disk", "1GiB"}}),
              "cache.disk has no meaning in the role proxy"));
  CHECK_FALSE(warns(report({{"cache.disk", "1GiB"}}), "no meaning"));
  CHECK(warns(report({{"http.root", "/nowhere/page"}}), "http.root: there is no folder"));
}

TEST_CASE("check warns of what this machine has not", "[config_report]") {
  const ThisMachine small{.cores = 1, .memory = 1 << 30, .open_files = 1024};
  CHECK(warns(report({{"limits.connections", "1025"}}, small), "needs 1025 open files"));
  CHECK_FALSE(warns(report({{"limits.connections", "1024"}}, small), "open files"));
  CHECK(
      warns(report({{"role", "proxy"}, {"limits.connections", "513"}}, small), "1026 open files"));
  CHECK(warns(report({{"cache.memory", "513MiB"}}, small), "more than half"));
  CHECK_FALSE(warns(report({{"cache.memory", "512MiB"}}, small), "more than half"));
}

}  // namespace weir
