// common/config_report.h
// What `weir check` says: in plain words, what a node with this configuration would do, and which
// combinations of options an operator may not have meant.
//
// A warning is never an error: Config::load() has refused those already.
//
// Threading: pure, but for looking at this machine (folders, memory, the limit of open files).
#pragma once

#include <string>
#include <vector>

#include "common/config.h"

namespace weir {

struct ConfigReport {
  struct Line {
    std::string what;  // empty: the line before goes on
    std::string text;
  };

  std::vector<Line> lines;
  std::vector<std::string> warnings;

  std::string text() const;
};

// What of this machine matters to a configuration.
struct ThisMachine {
  std::size_t cores = 1;
  std::uint64_t memory = 0;      // bytes; 0: unknown
  std::uint64_t open_files = 0;  // the most that this process may have; 0: unknown

  static ThisMachine look();
};

ConfigReport report_of(const Config& config, const ThisMachine& machine);

}  // namespace weir
