// The texts that common/options.h promises, made of nothing but its table.
#include <spdlog/fmt/fmt.h>

#include <vector>

#include "common/options.h"

namespace weir {
namespace {

constexpr std::size_t kWidth = 96;

constexpr std::string_view kPreamble =
    "# weir.conf: every option of weir with its default. Remove the `;` before a line to change "
    "it.\n"
    "#\n"
    "# A later source wins: defaults, this file (--config=FILE), the environment, --set "
    "KEY=VALUE.\n"
    "# [listen] rtmp is listen.rtmp for --set, WEIR_LISTEN_RTMP in the environment. In parentheses "
    "stands\n"
    "# the variable of the earlier Go proxy, which works too; variables may also stand in a file "
    ".env in\n"
    "# the working directory. Comments begin with # or ; at the start of a line or after a space; "
    "a value\n"
    "# with such characters goes in double quotes. `weir --check-config --config=FILE` tells "
    "mistakes,\n"
    "# `weir --print-config` shows what holds and where it came from.\n"
    "#\n"
    "# Sizes: 65536, 64KiB, 4MiB, 1GiB. Durations: 350ms, 10s, 5m, 1h, 1m30s; 0 needs no unit.\n";

std::string wrapped(std::string_view text, std::string_view indent) {
  std::string out;
  std::string line;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > kWidth) {
      out += fmt::format("{}{}\n", indent, line);
      line.clear();
    }
    line += line.empty() ? "" : " ";
    line += word;
  }
  return line.empty() ? out : out + fmt::format("{}{}\n", indent, line);
}

std::string_view role_note(Roles roles) {
  if (roles == Roles::Edge) return " Edge only.";
  if (roles == Roles::Proxy) return " Proxy only.";
  return "";
}

std::string environment_note(const Option& option) {
  auto name = environment_name(option.key);
  if (const auto star = name.find('*'); star != std::string::npos) name.replace(star, 1, "NAME");
  if (!option.proxy_env.empty()) name += fmt::format(" ({})", option.proxy_env);
  return name;
}

std::string heading(const Section& section) {
  return section.name.empty() ? "" : fmt::format("[{}]", section.name);
}

}  // namespace

std::string default_config_text() {
  std::string out(kPreamble);
  for (const Section& section : sections()) {
    if (!section.name.empty()) {
      out += '\n';
      out += wrapped(section.doc, "# ");
      const bool pattern = section.name == "upstream.*";
      out += pattern ? std::string("[upstream.default]\n") : heading(section) + "\n";
    }
    for (const Option& option : options()) {
      if (option.section() != section.name) continue;
      out += '\n';
      out += wrapped(fmt::format("{}{}", option.doc, role_note(option.roles)), "# ");
      out += fmt::format("# {}. {}\n", describe(option.kind, option.allowed),
                         environment_note(option));
      out += fmt::format("; {} ={}{}\n", option.name(), option.default_value.empty() ? "" : " ",
                         option.default_value);
    }
  }
  return out;
}

std::string options_help(std::string_view wanted) {
  std::string out;
  for (const Section& section : sections()) {
    const auto plain = section.name.substr(0, section.name.find('.'));
    if (wanted != "all" && wanted != (section.name.empty() ? "general" : plain)) continue;
    if (!out.empty()) out += '\n';
    out += wrapped(
        fmt::format("{}{}{}", heading(section), section.name.empty() ? "" : " ", section.doc), "");
    for (const Option& option : options()) {
      if (option.section() != section.name) continue;
      const auto shown = option.default_value.empty() ? "(empty)" : option.default_value;
      out += fmt::format("  {} = {}\n", option.key, shown);
      out += wrapped(fmt::format("{}{}", option.doc, role_note(option.roles)), "      ");
      out += fmt::format("      {}\n      {}\n", describe(option.kind, option.allowed),
                         environment_note(option));
    }
  }
  return out;
}

}  // namespace weir
