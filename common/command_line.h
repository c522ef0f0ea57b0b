// common/command_line.h
// The words after `weir`, as a value. What they mean for the configuration is decided by
// Config::load().
//
// Mistakes throw ConfigError, one line. Options may be shortened while they stay unambiguous, as
// Poco's OptionProcessor does it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config_sources.h"

#ifndef WEIR_VERSION
#define WEIR_VERSION "0.0.0-dev"
#endif

namespace weir {

struct CommandLine {
  enum class Verb {
    Run,
    Demo,
    Top,
    Check,
    Help,
    Version,
    CheckConfig,
    PrintConfig,
    PrintDefaultConfig
  };

  Verb verb = Verb::Run;
  std::string help_topic;           // for Help: empty, "all", or a section such as "listen"
  std::optional<std::string> role;  // as written
  std::optional<std::string> config_file;
  std::vector<std::string> overrides;  // KEY=VALUE, in order
  std::optional<int> demo_seconds;     // the demo ends by itself after so long
  bool demo_source = true;             // the demo publishes a test picture
  std::optional<std::string> top_url;  // of the node to look at
  std::optional<std::string> top_token;
  std::string top_sort = "viewers";
  bool top_once = false;
};

// `arguments` without the program's name.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

// The answer to --help; throws ConfigError for a topic that does not exist.
std::string help_text(const std::string& topic);

std::string version_text();  // "weir 1.2.3"

}  // namespace weir
