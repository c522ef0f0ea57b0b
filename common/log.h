// common/log.h
// The log: one line an event, a message that never varies and fields that do.
//
//     log::info("viewer joined", {{"conn", id}, {"stream", key}, {"bytes", 123}});
//     2026-01-31T12:00:00.123Z I viewer joined  conn=4711 stream=live/test bytes=123
//     {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"viewer joined","conn":4711,...}
//
// Whatever peers put into a value, a line stays one line and one terminal's worth: control and
// text-direction characters and bytes that are no UTF-8 are escaped. The only place that knows
// spdlog.
//
// Threading: everything by any thread. A level that is off costs one load and a branch, no
// allocation; a Field only refers to its text, which must live until the call returns. Lines go to
// standard error (standard output belongs to the program's answers) and are written by the caller.
// Bounds: values and messages are cut at 2 KiB.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace weir::log {

enum class Level { Debug, Info, Warn, Error, Off };
enum class Format { Text, Json };

// The names of the options log.level and log.format; REQUIRES: one of those the table allows.
Level level_named(std::string_view name);
Format format_named(std::string_view name);

struct Field {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  Field(std::string_view key_, std::string_view text) : key(key_), value(text) {}
  Field(std::string_view key_, const std::string& text)
      : key(key_), value(std::string_view(text)) {}
  Field(std::string_view key_, const char* text) : key(key_), value(std::string_view(text)) {}
  Field(std::string_view key_, bool truth) : key(key_), value(truth) {}
  Field(std::string_view key_, std::signed_integral auto number)
      : key(key_), value(static_cast<std::int64_t>(number)) {}
  Field(std::string_view key_, std::unsigned_integral auto number)
      : key(key_), value(static_cast<std::uint64_t>(number)) {}
  Field(std::string_view key_, std::floating_point auto number)
      : key(key_), value(static_cast<double>(number)) {}

  std::string_view key;
  Value value;
};

using Fields = std::initializer_list<Field>;

// Until init() the level is Info, as text. `sink` gets whole lines without their end, instead of
// standard error; for tests. Not while other threads log.
void init(Level level, Format format, std::function<void(std::string_view)> sink = nullptr);

bool enabled(Level level);
// From here on; any thread.
void set_level(Level level);
void write(Level level, std::string_view message, Fields fields = {});

inline void debug(std::string_view message, Fields fields = {}) {
  write(Level::Debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  write(Level::Info, message, fields);
}
inline void warn(std::string_view message, Fields fields = {}) {
  write(Level::Warn, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  write(Level::Error, message, fields);
}

// Repeated trouble: one line a period. A line that follows unlogged ones says how many in
// `suppressed`.
class Limited {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Limited(std::chrono::milliseconds period) : period_(period) {}

  void write(Level level, std::string_view message, Fields fields = {});

  // Whether an event at `now` may be logged, and then how many before it were not.
  std::optional<std::uint64_t> admit(Clock::time_point now);

 private:
  const Clock::duration period_;
  std::atomic<Clock::rep> next_{Clock::time_point::min().time_since_epoch().count()};
  std::atomic<std::uint64_t> suppressed_{0};
};

// `text` as a JSON string, quotes included, escaped and cut as in lines of the log.
void append_json_string(std::string_view text, std::string& out);

// A URL, or arguments alone, without what may be secret: values of arguments other than vhost and
// domain, and a password before the host. "live/a?token=x&vhost=b" becomes
// "live/a?token=***&vhost=b".
std::string redact_args(std::string_view url);

}  // namespace weir::log
