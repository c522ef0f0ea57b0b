// common/config_sources.h
// Where settings come from: an INI file, the environment, a `.env` file, `--set`. Each becomes a
// list of Settings that knows its place, so that every mistake can be told with file, line and key.
//
// Values of files are read by Poco's IniFileConfiguration. Poco keeps no line numbers, forgives
// lines that mean nothing and takes the last of two equal keys, so a scan of our own finds the
// lines and is stricter.
//
// Runs at start-up on one thread. Bounds: files of at most 1 MiB.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

// The operator's mistake, as one line to print.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Setting {
  std::string key;
  std::string value;
  std::string where;  // for comments: "weir.conf:12"
  std::string label;  // for messages: "weir.conf:12: listen.rtmp"
};

using Variables = std::vector<std::pair<std::string, std::string>>;

// The variables of this process.
Variables process_environment();

// The text of a file; throws ConfigError naming it.
std::string read_config_file(const std::string& path);

// The same for a file that need not exist.
std::optional<std::string> read_optional_file(const std::string& path);

// Throws ConfigError for lines that mean nothing and for keys set twice.
std::vector<Setting> read_ini(std::string_view text, const std::string& file_name);

struct EnvironmentSettings {
  std::vector<Setting> settings;
  std::vector<std::string> warnings;  // what looks meant for weir and is not understood
};

// WEIR_* by the table's names and PROXY_* of the earlier Go proxy; a WEIR_ name wins over a PROXY_
// name, `variables` over the text of a .env file. `known` are settings read before: their
// [upstream.NAME]s are recognised whatever of `-` and `_` stands in NAME.
EnvironmentSettings read_environment(const Variables& variables, std::string_view dotenv,
                                     const std::vector<Setting>& known);

// KEY=VALUE of --set; throws ConfigError.
Setting read_override(std::string_view text);

}  // namespace weir
