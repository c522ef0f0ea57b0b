// common/config_value.h
// The kinds of values an option can have, and how each is written by people: `4MiB`, `350ms`, `on`.
//
// An option's `allowed` text says what it accepts: alternatives separated by `|`, each a word or a
// range `low..high` in the option's own unit ("auto|0..5s"). The same text is shown in the help and
// obeyed here, so that documentation and validation cannot differ. Errors are phrases to put after
// a key and a colon. Pure functions, for start-up only.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"

namespace weir {

enum class Kind {
  Text,
  Secret,   // text that is never shown
  Boolean,  // on|off, true|false, yes|no, 1|0
  Integer,
  Number,
  Size,      // bytes: 65536, 64KiB, 4MiB, 1GiB
  Duration,  // 350ms, 10s, 5m, 1h, 1m30s; 0 needs no unit
  Choice,
  Listen,    // port, host:port, [v6]:port; empty is off
  Remote,    // port or host:port of another server; empty is none
  Remotes,   // several of them, comma separated, each with a port
  Hosts,     // addresses or names, comma separated, each with a port or without
  CidrList,  // 10.0.0.0/8, ::1, loopback, private
};

template <class T>
using Parsed = std::expected<T, std::string>;

Parsed<bool> parse_boolean(std::string_view text);
Parsed<std::int64_t> parse_integer(std::string_view text);
Parsed<double> parse_number(std::string_view text);
Parsed<std::uint64_t> parse_size(std::string_view text);
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);

// Of Hosts; port 0 where none is named, and no more than kMaxHosts.
inline constexpr std::size_t kMaxHosts = 8;
Parsed<std::vector<Endpoint>> parse_hosts(std::string_view text);

// Whether `value` is well formed for `kind` and within `allowed`.
Parsed<void> check_value(Kind kind, std::string_view allowed, std::string_view value);

// True when `value` is one of the words of `allowed`, such as "auto".
bool is_word_of(std::string_view allowed, std::string_view value);

// What an operator may write, for the help: "350ms, 10s, 5m (0..1h)".
std::string describe(Kind kind, std::string_view allowed);

// `text` in single quotes on one line whatever is in it, shortened.
std::string in_quotes(std::string_view text);

}  // namespace weir
