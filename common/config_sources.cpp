#include "common/config_sources.h"

#include <Poco/AutoPtr.h>
#include <Poco/Util/IniFileConfiguration.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>

#include "common/options.h"

namespace weir {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;
constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

struct Line {
  std::size_t number;
  std::string_view text;  // trimmed
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back({number, trimmed(text.substr(0, end))});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool is_comment(std::string_view text) { return text.empty() || text[0] == ';' || text[0] == '#'; }

// What stands before a comment that follows a space.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] == ';' || text[i] == '#') && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t'))
      return trimmed(text.substr(0, i));
  return text;
}

// The value of `"..."`, in which only \" and \\ are special; nullopt when it does not end well.
std::optional<std::string> unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"')
      return is_comment(trimmed(text.substr(i + 1))) ? std::optional(out) : std::nullopt;
    const bool escape = text[i] == '\\' && i + 1 < text.size() && std::strchr("\"\\", text[i + 1]);
    out += text[escape ? ++i : i];
  }
  return std::nullopt;
}

struct File {
  explicit File(const std::string& path) : handle(std::fopen(path.c_str(), "rbe")) {}
  ~File() {
    if (handle != nullptr) std::fclose(handle);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::FILE* handle;
};

[[noreturn]] void fail_line(const std::string& file_name, std::size_t line, std::string_view what) {
  throw ConfigError(fmt::format("{}:{}: {}", file_name, line, what));
}

std::string section_name(const std::string& file_name, const Line& line) {
  const auto close = line.text.find(']');
  if (close == std::string_view::npos || !is_comment(trimmed(line.text.substr(close + 1))))
    fail_line(file_name, line.number, "expected [section]");
  const auto name = trimmed(line.text.substr(1, close - 1));
  if (name.empty()) fail_line(file_name, line.number, "a section needs a name");
  if (name.find('\t') != name.npos) fail_line(file_name, line.number, "expected [section]");
  return lower(name);
}

struct Variable {
  std::string value;
  std::string label;
  std::string where;
};
using VariableMap = std::map<std::string, Variable, std::less<>>;

bool ours(std::string_view name) {
  const bool plain = std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; });
  return plain && (name.starts_with("WEIR_") || name.starts_with("PROXY_"));
}

void add_dotenv(std::string_view text, VariableMap& variables, std::vector<std::string>& warnings) {
  for (const Line& line : lines_of(text)) {
    auto rest = line.text;
    if (is_comment(rest)) continue;
    if (rest.starts_with("export ")) rest = trimmed(rest.substr(7));
    const auto equals = rest.find('=');
    const auto name = trimmed(rest.substr(0, equals));
    if (equals == std::string_view::npos) {
      warnings.push_back(fmt::format(".env:{}: ignored, it is not NAME=VALUE", line.number));
      continue;
    }
    if (!ours(name)) continue;
    const auto raw = trimmed(rest.substr(equals + 1));
    std::string value(without_comment(raw));
    if (raw.starts_with('"')) {
      auto inner = unquoted(raw);
      if (!inner)
        throw ConfigError(fmt::format(".env:{}: {}: unfinished quotes", line.number, name));
      value = std::move(*inner);
    } else if (raw.starts_with('\'')) {
      const auto end = raw.find('\'', 1);
      if (end == std::string_view::npos)
        throw ConfigError(fmt::format(".env:{}: {}: unfinished quotes", line.number, name));
      value = raw.substr(1, end - 1);
    }
    variables[std::string(name)] = {std::move(value), fmt::format(".env:{}: {}", line.number, name),
                                    fmt::format(".env:{}", line.number)};
  }
}

// The variables that Kubernetes adds to every container for a service named weir or weir-*.
bool from_kubernetes(std::string_view name, std::string_view value) {
  return name.find("_SERVICE_") != std::string_view::npos || value.starts_with("tcp://") ||
         value.starts_with("udp://");
}

// WEIR_UPSTREAM_NAME_HOST as a key; empty when it names no option of an upstream.
std::string upstream_key(std::string_view name, const std::vector<Setting>& known) {
  constexpr std::string_view kPrefix = "WEIR_UPSTREAM_";
  const auto last = name.rfind('_');
  if (!name.starts_with(kPrefix) || last < kPrefix.size()) return {};
  const auto field = lower(name.substr(last + 1));
  const auto prefix = std::string(name.substr(0, last + 1));
  for (const Setting& setting : known) {
    const auto dot = setting.key.rfind('.');
    if (!setting.key.starts_with("upstream.") || dot == std::string::npos) continue;
    const auto section = setting.key.substr(0, dot + 1);
    if (environment_name(section) == prefix) return section + field;
  }
  const auto upstream = name.substr(kPrefix.size(), last - kPrefix.size());
  return fmt::format("upstream.{}.{}", lower(upstream), field);
}

void take_proxy_variables(const VariableMap& variables, std::vector<Setting>& settings) {
  const auto enabled = variables.find("PROXY_DEFAULT_BACKEND_ENABLED");
  const bool backend =
      enabled != variables.end() && parse_boolean(enabled->second.value).value_or(false);
  const auto set = [&](const Option& option, const Variable& variable) {
    std::string key(option.key);
    if (option.is_pattern()) key.replace(key.find('*'), 1, "default");
    settings.push_back({key, variable.value, variable.where, variable.label});
  };
  // What the earlier proxy assumed of its default backend.
  static constexpr std::pair<std::string_view, std::string_view> kAssumed[] = {
      {"PROXY_DEFAULT_BACKEND_IP", "127.0.0.1"},
      {"PROXY_DEFAULT_BACKEND_RTMP", "1935"},
      {"PROXY_DEFAULT_BACKEND_API", "1985"},
      {"PROXY_DEFAULT_BACKEND_RTC", "8000"}};
  for (const Option& option : options()) {
    if (option.proxy_env.empty() || (option.is_pattern() && !backend)) continue;
    const auto found = variables.find(option.proxy_env);
    if (found != variables.end() && !found->second.value.empty()) {
      set(option, found->second);
      continue;
    }
    for (const auto& [name, value] : kAssumed)
      if (name == option.proxy_env)
        set(option, {std::string(value), enabled->second.label, enabled->second.where});
  }
}

}  // namespace

Variables process_environment() {
  Variables variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::string read_config_file(const std::string& path) {
  const auto give_up = [&path](std::string_view why) -> ConfigError {
    return ConfigError(fmt::format("{}: {}", in_quotes(path), why));
  };
  const File file(path);
  if (file.handle == nullptr) throw give_up(std::strerror(errno));
  std::string text(kMaxFile + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.handle));
  if (std::ferror(file.handle) != 0) throw give_up(std::strerror(errno));
  if (text.size() > kMaxFile) throw give_up("larger than 1 MiB");
  return text;
}

std::optional<std::string> read_optional_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return std::nullopt;
  return read_config_file(path);
}

std::vector<Setting> read_ini(std::string_view text, const std::string& file_name) {
  if (text.starts_with(kUtf8Mark)) text.remove_prefix(kUtf8Mark.size());
  std::vector<Setting> settings;
  std::map<std::string, std::size_t> seen;
  std::string section;
  std::string for_poco;
  for (const Line& line : lines_of(text)) {
    if (is_comment(line.text)) continue;
    const auto bad = std::ranges::find_if(line.text, [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    if (bad != line.text.end()) fail_line(file_name, line.number, "control character");
    if (line.text[0] == '[') {
      section = section_name(file_name, line);
      for_poco += fmt::format("[{}]\n", section);
      continue;
    }
    const auto equals = line.text.find('=');
    const auto name = trimmed(line.text.substr(0, equals));
    if (equals == name.npos || name.empty() || name.find('\t') != name.npos)
      fail_line(file_name, line.number,
                fmt::format("{}: expected key = value", in_quotes(line.text)));
    const auto key = section.empty() ? lower(name) : fmt::format("{}.{}", section, lower(name));
    if (const auto [first, fresh] = seen.emplace(key, line.number); !fresh)
      fail_line(file_name, line.number,
                fmt::format("{}: already set in line {}", key, first->second));
    auto value = trimmed(line.text.substr(equals + 1));
    if (!value.starts_with('"')) value = without_comment(value);
    for_poco += fmt::format("{} = {}\n", lower(name), value);
    const auto where = fmt::format("{}:{}", file_name, line.number);
    settings.push_back({key, "", where, fmt::format("{}: {}", where, key)});
  }
  std::istringstream stream(for_poco);
  const Poco::AutoPtr<Poco::Util::IniFileConfiguration> ini(
      new Poco::Util::IniFileConfiguration(stream));
  for (Setting& setting : settings) {
    setting.value = ini->getRawString(setting.key, "");
    if (!setting.value.starts_with('"')) continue;
    auto inner = unquoted(setting.value);
    if (!inner) throw ConfigError(setting.label + ": unfinished quotes");
    setting.value = std::move(*inner);
  }
  return settings;
}

EnvironmentSettings read_environment(const Variables& variables, std::string_view dotenv,
                                     const std::vector<Setting>& known) {
  EnvironmentSettings result;
  VariableMap map;
  add_dotenv(dotenv, map, result.warnings);
  for (const auto& [name, value] : variables) {
    if (!ours(name)) continue;
    const auto label = fmt::format("environment {}", name);
    map[name] = {value, label, label};
  }
  take_proxy_variables(map, result.settings);
  for (const auto& [name, variable] : map) {
    if (!name.starts_with("WEIR_")) continue;
    const auto found = std::ranges::find_if(
        options(), [&name](const Option& option) { return environment_name(option.key) == name; });
    std::string key =
        found == options().end() ? upstream_key(name, known) : std::string(found->key);
    if (key.empty() || find_option(key) == nullptr || from_kubernetes(name, variable.value)) {
      result.warnings.push_back(fmt::format("{}: ignored, no such option", variable.label));
      continue;
    }
    result.settings.push_back({std::move(key), variable.value, variable.where, variable.label});
  }
  return result;
}

Setting read_override(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || trimmed(text.substr(0, equals)).empty())
    throw ConfigError(fmt::format("--set {}: expected KEY=VALUE", in_quotes(text)));
  const auto key = lower(trimmed(text.substr(0, equals)));
  const bool plain = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; });
  return {key, std::string(trimmed(text.substr(equals + 1))), "--set",
          fmt::format("--set {}", plain ? key : in_quotes(key))};
}

}  // namespace weir
