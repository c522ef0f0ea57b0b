#include "common/reload.h"

#include <catch2/catch.hpp>

#include "common/options.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;

namespace {

using Keys = std::vector<std::string>;

Setting setting(const std::string& key, const std::string& value) {
  return {key, value, "weir.conf:1", "weir.conf:1: " + key};
}

// A process whose file says what a test writes into it.
struct Process {
  std::vector<Setting> file;
  Metrics metrics{"0.1.0"};
  Reload reload{Config::from_settings({}), [this] { return Config::from_settings(file); }, metrics};
  QuietLog quiet;
};

}  // namespace

TEST_CASE("a reload tells what changed, and every part sees before and after", "[reload]") {
  Process process;
  std::string seen;
  process.reload.add([&](const Config& before, const Config& after) -> Reload::Commit {
    seen = before.text("log.level") + " " + after.text("log.level");
    return nullptr;
  });
  process.file = {setting("log.level", "debug"), setting("upstream.a.rtmp", "127.0.0.1:1935")};
  const auto report = process.reload.run();
  REQUIRE(report);
  CHECK(report->changed == Keys{"log.level", "upstream.a.rtmp"});
  CHECK(report->need_restart.empty());
  CHECK(seen == "info debug");
  CHECK(process.reload.config().text("log.level") == "debug");
  CHECK(process.reload.run()->changed.empty());
}

TEST_CASE("a value that is written as the default is no change", "[reload]") {
  Process process;
  process.file = {setting("log.level", "info")};
  CHECK(process.reload.run()->changed.empty());
}

TEST_CASE("a bad configuration reaches no part", "[reload]") {
  Process process;
  bool reached = false;
  process.reload.add([&](const Config&, const Config&) -> Reload::Commit {
    reached = true;
    return nullptr;
  });
  process.file = {setting("log.level", "loud")};
  const auto report = process.reload.run();
  REQUIRE_FALSE(report);
  CHECK(report.error().code == Errc::Protocol);
  CHECK(report.error().text.starts_with("weir.conf:1: log.level: "));
  CHECK_FALSE(reached);
  CHECK(process.metrics.text().find("weir_reload_failures_total 1") != std::string::npos);
  CHECK(process.metrics.text().find("weir_config_last_reload_successful 0") != std::string::npos);
}

TEST_CASE("what one part refuses no other part takes up", "[reload]") {
  Process process;
  auto prepared = std::make_shared<int>(0);
  bool taken = false;
  process.reload.add([&](const Config&, const Config&) -> Reload::Commit {
    return [&taken, prepared] { taken = true; };
  });
  process.reload.add([](const Config&, const Config&) -> Reload::Commit {
    throw ConfigError("listen.rtmp: cannot be had");
  });
  process.file = {setting("log.level", "debug")};
  const auto report = process.reload.run();
  REQUIRE_FALSE(report);
  CHECK(report.error().text == "listen.rtmp: cannot be had");
  CHECK_FALSE(taken);
  CHECK(prepared.use_count() == 1);  // the part has let go of what it had prepared
  CHECK(process.reload.config().text("log.level") == "info");
}

TEST_CASE("what needs a restart stays as it was, and is named until then", "[reload]") {
  Process process;
  std::string workers;
  process.reload.add([&](const Config&, const Config& after) -> Reload::Commit {
    workers = after.text("workers");
    return nullptr;
  });
  process.file = {setting("workers", "3"), setting("redis.host", "db"),
                  setting("log.level", "warn")};
  for (const Keys& changed : {Keys{"log.level"}, Keys{}}) {
    const auto report = process.reload.run();
    REQUIRE(report);
    CHECK(report->changed == changed);
    CHECK(report->need_restart == Keys{"redis.host", "workers"});
    CHECK(workers == "0");
  }
  process.file = {};
  CHECK(process.reload.run()->need_restart.empty());
}

TEST_CASE("listeners, limits and upstreams need no restart", "[reload]") {
  for (const auto* key : {"listen.rtmp", "limits.connections", "upstream.a.rtmp", "log.level",
                          "cache.memory", "api.token"})
    CHECK_FALSE(Reload::needs_restart(key));
  for (const auto* key : {"role", "workers", "state.path", "redis.password", "node.id"}) {
    CHECK(Reload::needs_restart(key));
    CHECK(find_option(key) != nullptr);
  }
}
