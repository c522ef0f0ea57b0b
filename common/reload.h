// common/reload.h
// Reads the configuration again and gives what changed to the parts that it concerns, while all
// sessions go on.
//
//     load ─► every part prepares: opens ports, reads certificates ─► every part takes it up
//        └──────────── one mistake: nothing has changed ────────────┘
//
// A part is one function, added where the part is made: whoever has something of the configuration
// that may change adds one, and there is no other place where a reload reaches it.
//
// What needs a restart keeps the value that this process began with, so that no part ever sees a
// configuration that is half of each; it is named in every report until the restart.
//
// Threading: main's thread. Bounds: two configurations.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/error.h"
#include "common/metrics.h"

namespace weir {

class Reload {
 public:
  // Takes the new configuration up, and cannot fail. Destroyed without having been called, it lets
  // go of what was prepared.
  using Commit = std::move_only_function<void()>;
  // Gets whatever may be refused, and throws ConfigError if it is. Null: nothing changes.
  using Part = std::function<Commit(const Config& before, const Config& after)>;

  struct Report {
    std::vector<std::string> changed;       // keys, and in force
    std::vector<std::string> need_restart;  // keys that are not
  };

  // `load` throws ConfigError. Metrics: weir_reload*, weir_config_last_reload_*.
  Reload(Config first, std::function<Config()> load, Metrics& metrics);

  void add(Part part) { parts_.push_back(std::move(part)); }

  // Errors: Protocol, with the file and line, or the port, at fault. Logs what came of it.
  Result<Report> run();

  // In force.
  const Config& config() const { return config_; }

  static bool needs_restart(std::string_view key);

 private:
  Report report_of(const Config& loaded) const;

  const Config first_;
  Config config_;
  const std::function<Config()> load_;
  std::vector<Part> parts_;
  prometheus::Counter& reloads_;
  prometheus::Counter& failures_;
  prometheus::Gauge& successful_;
  prometheus::Gauge& when_;
};

}  // namespace weir
