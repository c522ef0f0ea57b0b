#include "common/command_line.h"

#include <Poco/Util/Option.h>
#include <Poco/Util/OptionException.h>
#include <Poco/Util/OptionProcessor.h>
#include <Poco/Util/OptionSet.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/options.h"

namespace weir {
namespace {

using Poco::Util::Option;

constexpr int kMaxDemoSeconds = 24 * 3600;
constexpr std::string_view kSorts[] = {"viewers", "rate", "name", "age"};

constexpr std::string_view kUsage =
    "weir stands between the people who watch live streams and the servers that hold them.\n"
    "\n"
    "  weir [--role=edge|proxy] [--config=FILE] [--set KEY=VALUE]...\n"
    "  weir check [as above]\n"
    "  weir top [URL] [--once] [--sort=viewers|rate|name|age] [--token=TOKEN]\n"
    "  weir demo [--seconds=N] [--no-source]\n"
    "\n"
    "  --role=edge            pull each stream once from upstream, serve many viewers (default);\n"
    "                         without upstreams: serve what is published here\n"
    "  --role=proxy           spread streams over origins that register or are configured\n"
    "  -c, --config=FILE      read options from an INI file\n"
    "  -s, --set KEY=VALUE    set one option; stronger than file and environment\n"
    "  --check-config         tell whether the configuration is good, and end\n"
    "  --print-config         show what holds and where each value came from, and end\n"
    "  --print-default-config show every option, documented, as a file to start from\n"
    "  -V, --version          show the version\n"
    "  -h, --help[=TOPIC]     this text; TOPIC is all, or a section as listed below\n"
    "\n"
    "  check                  what a node with this configuration would do, and what looks risky\n"
    "  top                    a running node in the terminal: streams, viewers, rates, loops\n"
    "  demo                   origin, proxy and edge on loopback with a test picture\n"
    "\n"
    "Options also come from the environment: listen.rtmp is WEIR_LISTEN_RTMP.\n";

const Poco::Util::OptionSet& option_set() {
  static const Poco::Util::OptionSet set = [] {
    Poco::Util::OptionSet options;
    const auto add = [&options](const char* full, const char* short_name) -> Option {
      Option option;
      option.fullName(full).shortName(short_name).repeatable(true);
      return option;
    };
    options.addOption(add("role", "r").argument("ROLE"));
    options.addOption(add("config", "c").argument("FILE"));
    options.addOption(add("set", "s").argument("KEY=VALUE"));
    options.addOption(add("check-config", "t"));
    options.addOption(add("print-config", "p"));
    options.addOption(add("print-default-config", ""));
    options.addOption(add("version", "V"));
    options.addOption(add("help", "h").argument("TOPIC", false));
    options.addOption(add("seconds", "").argument("N"));
    options.addOption(add("no-source", ""));
    options.addOption(add("once", ""));
    options.addOption(add("sort", "").argument("KEY"));
    options.addOption(add("token", "").argument("TOKEN"));
    return options;
  }();
  return set;
}

int demo_seconds(const std::string& text) {
  const auto seconds = parse_integer(text);
  if (!seconds || *seconds < 1 || *seconds > kMaxDemoSeconds)
    throw ConfigError(fmt::format("--seconds: {} is not 1..{}", in_quotes(text), kMaxDemoSeconds));
  return static_cast<int>(*seconds);
}

void apply(CommandLine& line, const std::string& name, const std::string& value) {
  using Verb = CommandLine::Verb;
  // Help wins over every other answer, and an answer over running.
  const auto answer = [&line](Verb verb) {
    if (line.verb != Verb::Help) line.verb = verb;
  };
  if (name == "role") {
    line.role = value;
  } else if (name == "config") {
    if (line.config_file) throw ConfigError("--config: given twice");
    line.config_file = value;
  } else if (name == "set") {
    line.overrides.push_back(value);
  } else if (name == "check-config") {
    answer(Verb::CheckConfig);
  } else if (name == "print-config") {
    answer(Verb::PrintConfig);
  } else if (name == "print-default-config") {
    answer(Verb::PrintDefaultConfig);
  } else if (name == "version") {
    answer(Verb::Version);
  } else if (name == "help") {
    line.verb = Verb::Help;
    line.help_topic = value;
  } else if (name == "seconds") {
    line.demo_seconds = demo_seconds(value);
  } else if (name == "no-source") {
    line.demo_source = false;
  } else if (name == "once") {
    line.top_once = true;
  } else if (name == "sort") {
    if (std::ranges::find(kSorts, value) == std::end(kSorts))
      throw ConfigError(
          fmt::format("--sort: {} is not viewers, rate, name or age", in_quotes(value)));
    line.top_sort = value;
  } else if (name == "token") {
    line.top_token = value;
  }
}

// The word that is no option: what to do. False: it is none.
bool take_word(CommandLine& line, std::string& word, const std::string& argument) {
  if (word.empty()) {
    word = argument;
    return word == "demo" || word == "top" || word == "check";
  }
  if (word != "top" || line.top_url) return false;
  line.top_url = argument;
  return true;
}

void check_words(const CommandLine& line, const std::string& word) {
  const bool for_demo = line.demo_seconds || !line.demo_source;
  if (for_demo && word != "demo") throw ConfigError("--seconds and --no-source go with weir demo");
  const bool for_top = line.top_once || line.top_token || line.top_sort != kSorts[0];
  if (for_top && word != "top") throw ConfigError("--once, --sort and --token go with weir top");
  if (word == "demo" && line.role) throw ConfigError("--role: weir demo starts both roles");
}

std::string topics() {
  std::string out = "general";
  for (const Section& section : sections())
    if (!section.name.empty())
      out += fmt::format(" {}", section.name.substr(0, section.name.find('.')));
  return out;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::string word;
  Poco::Util::OptionProcessor processor(option_set());
  processor.setUnixStyle(true);
  for (const std::string& argument : arguments) {
    try {
      std::string name;
      std::string value;
      if (processor.process(argument, name, value)) {
        if (!name.empty()) apply(line, name, value);
        continue;
      }
    } catch (const Poco::Util::MissingArgumentException&) {
      throw ConfigError(fmt::format("{}: needs a value", in_quotes(argument)));
    } catch (const Poco::Util::UnexpectedArgumentException&) {
      throw ConfigError(fmt::format("{}: takes no value", in_quotes(argument)));
    } catch (const Poco::Util::AmbiguousOptionException&) {
      throw ConfigError(
          fmt::format("{}: could be several options, see weir --help", in_quotes(argument)));
    } catch (const Poco::Util::OptionException&) {
      throw ConfigError(fmt::format("{}: unknown, see weir --help", in_quotes(argument)));
    }
    if (!take_word(line, word, argument))
      throw ConfigError(fmt::format("{}: unexpected, see weir --help", in_quotes(argument)));
  }
  try {
    processor.checkRequired();
  } catch (const Poco::Util::OptionException&) {
    throw ConfigError(fmt::format("{}: needs a value", in_quotes(arguments.back())));
  }
  check_words(line, word);
  if (!word.empty() && line.verb == CommandLine::Verb::Run)
    line.verb = word == "demo"  ? CommandLine::Verb::Demo
                : word == "top" ? CommandLine::Verb::Top
                                : CommandLine::Verb::Check;
  return line;
}

std::string help_text(const std::string& topic) {
  if (topic.empty()) return fmt::format("{}Topics: {}\n", kUsage, topics());
  auto text = options_help(topic);
  if (text.empty())
    throw ConfigError(fmt::format("--help: {} is no topic: all {}", in_quotes(topic), topics()));
  return text;
}

std::string version_text() { return "weir " WEIR_VERSION; }

}  // namespace weir
