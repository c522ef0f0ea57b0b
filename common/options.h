// common/options.h
// Every option of weir, once. This table is the validator, `--help`, `--print-config`, the
// commented etc/weir.conf and the names of the environment variables: nothing about an option is
// written twice.
//
// A key is `section.name` (`listen.rtmp`), or a bare name for the few general ones. `*` in a key
// stands for a name that the operator chooses: `upstream.*.host` is [upstream.NAME] host. The
// environment's name of an option is its key in upper case with WEIR_ before it and underscores for
// dots.
//
// Immutable, therefore free of threading questions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/config_value.h"

namespace weir {

enum class Roles { Both, Proxy, Edge };

struct Option {
  std::string_view key;
  Kind kind;
  std::string_view default_value;
  std::string_view allowed;  // see common/config_value.h
  std::string_view doc;
  std::string_view proxy_env = {};  // the variable of the earlier Go proxy with the same meaning
  Roles roles = Roles::Both;

  std::string_view section() const;  // "" for a general one, "upstream.*" for a pattern
  std::string_view name() const;
  bool is_pattern() const { return key.find('*') != std::string_view::npos; }
};

struct Section {
  std::string_view name;
  std::string_view doc;
};

std::span<const Option> options();    // sections together, in the order of sections()
std::span<const Section> sections();  // the general one, whose name is empty, first

// The option of a key as operators write it, patterns included; null when there is none.
const Option* find_option(std::string_view key);

// The known key nearest to a mistyped one; empty when none is near.
std::string nearest_key(std::string_view key);

std::string environment_name(std::string_view key);

// etc/weir.conf, byte for byte: every option with its documentation, commented out.
std::string default_config_text();

// The options of one section, or of all for "all"; empty when there is no such section.
std::string options_help(std::string_view section);

}  // namespace weir
