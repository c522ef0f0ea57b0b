#include "common/reload.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "common/log.h"

namespace weir {

namespace {

// Keys, and sections that end in a dot.
constexpr std::array<std::string_view, 16> kNeedRestart{"role",
                                                        "workers",
                                                        "node.",
                                                        "state.",
                                                        "redis.",
                                                        "upstream.discover",
                                                        "cache.path",
                                                        "cache.disk",
                                                        "http.root",
                                                        "log.format",
                                                        "webrtc.max_sessions",
                                                        "origin.max",
                                                        "access_log.",
                                                        "proxy_protocol.",
                                                        "metrics.",
                                                        "console."};

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

bool Reload::needs_restart(std::string_view key) {
  const auto covers = [key](std::string_view each) {
    return each.ends_with('.') ? key.starts_with(each) : key == each;
  };
  return std::ranges::any_of(kNeedRestart, covers);
}

Reload::Reload(Config first, std::function<Config()> load, Metrics& metrics)
    : first_(std::move(first)),
      config_(first_),
      load_(std::move(load)),
      reloads_(metrics.counter("weir_reloads_total", "Configurations read again and taken.")),
      failures_(
          metrics.counter("weir_reload_failures_total", "Configurations read again and refused.")),
      successful_(metrics.gauge("weir_config_last_reload_successful",
                                "1 when the configuration that was read last was taken.")),
      when_(metrics.gauge("weir_config_last_reload_success_timestamp_seconds",
                          "When the configuration in force was read.")) {
  successful_.Set(1);
  when_.Set(unix_time());
}

Reload::Report Reload::report_of(const Config& loaded) const {
  Report report;
  for (auto& key : config_.differences(loaded))
    if (!needs_restart(key)) report.changed.push_back(std::move(key));
  for (auto& key : first_.differences(loaded))
    if (needs_restart(key)) report.need_restart.push_back(std::move(key));
  return report;
}

Result<Reload::Report> Reload::run() {
  try {
    Config loaded = load_();
    Report report = report_of(loaded);
    for (const auto& key : report.need_restart) loaded.adopt(key, first_);
    std::vector<Commit> commits;
    for (const Part& part : parts_)
      if (auto commit = part(config_, loaded)) commits.push_back(std::move(commit));
    // From here on nothing can fail.
    for (Commit& commit : commits) commit();
    for (const auto& warning : loaded.warnings()) log::warn(warning);
    config_ = std::move(loaded);
    reloads_.Increment();
    successful_.Set(1);
    when_.Set(unix_time());
    log::info("configuration read again",
              {{"changed", fmt::format("{}", fmt::join(report.changed, " "))},
               {"need_restart", fmt::format("{}", fmt::join(report.need_restart, " "))}});
    return report;
  } catch (const std::exception& mistake) {
    failures_.Increment();
    successful_.Set(0);
    log::error("configuration refused, nothing has changed", {{"error", mistake.what()}});
    return fail(Errc::Protocol, mistake.what());
  }
}

}  // namespace weir
