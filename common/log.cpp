#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cmath>
#include <memory>
#include <mutex>

#include "common/check.h"

namespace weir::log {
namespace {

constexpr std::size_t kMaxValue = 2048;
constexpr std::array<std::string_view, 5> kLevelNames{"debug", "info", "warn", "error", "off"};

using Buffer = fmt::basic_memory_buffer<char, 512>;

void put(Buffer& out, std::string_view text) { out.append(text.data(), text.data() + text.size()); }

struct Character {
  std::size_t bytes;  // of the text that it takes
  std::uint32_t code;
  bool valid;
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. REQUIRES: text is not empty.
Character first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {1, lead, true};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {1, lead, false};
  std::uint32_t code = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {1, lead, false};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool outside = (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff;
  if (overlong || outside) return {1, lead, false};
  return {size, code, true};
}

// Characters that move the cursor, end a line or turn the direction of what follows.
bool is_hostile(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void put_escaped(Buffer& out, std::string_view text, Format format) {
  const bool cut = text.size() > kMaxValue;
  text = text.substr(0, kMaxValue);
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid && format == Format::Json) {
      put(out, "\\ufffd");
    } else if (!c.valid) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", c.code);
    } else if (c.code == '"' || c.code == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c.code));
    } else if (c.code == '\n' || c.code == '\r' || c.code == '\t') {
      put(out, c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t");
    } else if (is_hostile(c.code)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c.code);
    } else {
      put(out, text.substr(0, c.bytes));
    }
    text.remove_prefix(c.bytes);
  }
  if (cut) put(out, "...");
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid || is_hostile(c.code)) return true;
    if (c.code == ' ' || c.code == '"' || c.code == '\\' || c.code == '=') return true;
    text.remove_prefix(c.bytes);
  }
  return false;
}

void put_string(Buffer& out, std::string_view text, Format format) {
  if (format == Format::Text && text.size() <= kMaxValue && !needs_quotes(text))
    return put(out, text);
  out.push_back('"');
  put_escaped(out, text, format);
  out.push_back('"');
}

void put_value(Buffer& out, const Field::Value& value, Format format) {
  std::visit(
      [&out, format](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::same_as<Held, std::string_view>) {
          put_string(out, held, format);
        } else if constexpr (std::same_as<Held, double>) {
          // JSON has no word for what is not finite.
          const bool plain = std::isfinite(held) || format == Format::Text;
          plain ? void(fmt::format_to(std::back_inserter(out), "{}", held)) : put(out, "null");
        } else {
          fmt::format_to(std::back_inserter(out), "{}", held);
        }
      },
      value);
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warn: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
    case Level::Off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

class LineSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(std::function<void(std::string_view)> take) : take_(std::move(take)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    take_(std::string_view(line.data(), line.size()));
  }
  void flush_() override {}

 private:
  const std::function<void(std::string_view)> take_;
};

struct State {
  std::atomic<Level> level{Level::Info};
  Format format = Format::Text;
  std::shared_ptr<spdlog::logger> logger;
};

std::shared_ptr<spdlog::logger> make_logger(Format format,
                                            std::function<void(std::string_view)> take) {
  const auto* end = take ? "" : spdlog::details::os::default_eol;
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (take)
    sink = std::make_shared<LineSink>(std::move(take));
  else
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("weir", std::move(sink));
  const auto* pattern = format == Format::Text ? "%Y-%m-%dT%H:%M:%S.%eZ %L %v"
                                               : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})";
  logger->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, end));
  logger->set_level(spdlog::level::trace);
  return logger;
}

// Never destroyed: threads may log until the process is gone.
State& state() {
  static State& one = *[] {
    auto* fresh = new State;
    fresh->logger = make_logger(Format::Text, nullptr);
    return fresh;
  }();
  return one;
}

void put_field(Buffer& line, const Field& field, Format format) {
  if (format == Format::Json) {
    line.push_back(',');
    put_string(line, field.key, format);
    line.push_back(':');
  } else {
    line.push_back(' ');
    put_escaped(line, field.key, format);
    line.push_back('=');
  }
  put_value(line, field.value, format);
}

void write_line(Level level, std::string_view message, Fields fields, std::uint64_t suppressed) {
  State& current = state();
  const Format format = current.format;
  Buffer line;
  if (format == Format::Json) {
    fmt::format_to(std::back_inserter(line), "\"level\":\"{}\",\"message\":\"",
                   kLevelNames[static_cast<std::size_t>(level)]);
    put_escaped(line, message, format);
    line.push_back('"');
  } else {
    put_escaped(line, message, format);
    if (fields.size() > 0 || suppressed > 0) line.push_back(' ');
  }
  for (const Field& field : fields) put_field(line, field, format);
  if (suppressed > 0) put_field(line, {"suppressed", suppressed}, format);
  current.logger->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

Level level_named(std::string_view name) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i)
    if (kLevelNames[i] == name) return static_cast<Level>(i);
  INVARIANT(false, name);
}

Format format_named(std::string_view name) {
  INVARIANT(name == "text" || name == "json", name);
  return name == "json" ? Format::Json : Format::Text;
}

void init(Level level, Format format, std::function<void(std::string_view)> sink) {
  State& current = state();
  current.level.store(level, std::memory_order_relaxed);
  current.format = format;
  current.logger = make_logger(format, std::move(sink));
}

bool enabled(Level level) {
  return level != Level::Off && level >= state().level.load(std::memory_order_relaxed);
}

void set_level(Level level) { state().level.store(level, std::memory_order_relaxed); }

void write(Level level, std::string_view message, Fields fields) {
  if (enabled(level)) write_line(level, message, fields, 0);
}

void Limited::write(Level level, std::string_view message, Fields fields) {
  if (!enabled(level)) return;
  if (const auto suppressed = admit(Clock::now())) write_line(level, message, fields, *suppressed);
}

std::optional<std::uint64_t> Limited::admit(Clock::time_point now) {
  const Clock::rep at = now.time_since_epoch().count();
  Clock::rep next = next_.load(std::memory_order_relaxed);
  // Of threads that come at once, the one that moves the deadline logs.
  if (at < next ||
      !next_.compare_exchange_strong(next, at + period_.count(), std::memory_order_relaxed)) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return suppressed_.exchange(0, std::memory_order_relaxed);
}

void append_json_string(std::string_view text, std::string& out) {
  Buffer line;
  put_string(line, text, Format::Json);
  out.append(line.data(), line.size());
}

std::string redact_args(std::string_view url) {
  std::string out;
  const auto question = url.find('?');
  const bool only_args = question == std::string_view::npos &&
                         url.find('=') != std::string_view::npos &&
                         url.find('/') == std::string_view::npos;
  auto path = only_args ? std::string_view{} : url.substr(0, question);
  auto args = only_args ? url : url.substr(std::min(question, url.size()));
  if (const auto scheme = path.find("://"); scheme != std::string_view::npos) {
    const auto host = scheme + 3;
    const auto authority = path.substr(host, path.find('/', host) - host);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    if (at != std::string_view::npos && colon < at) {
      out.append(path.substr(0, host + colon + 1)).append("***");
      path.remove_prefix(host + at);
    }
  }
  out += path;
  while (!args.empty()) {
    const auto end = std::min(args.find_first_of("?&;", 1), args.size());
    auto one = args.substr(0, end);
    args.remove_prefix(end);
    if (one[0] == '?' || one[0] == '&' || one[0] == ';') {
      out += one[0];
      one.remove_prefix(1);
    }
    const auto equals = one.find('=');
    const auto name = one.substr(0, equals);
    const bool shown = one.empty() || (equals != one.npos && (name == "vhost" || name == "domain"));
    if (shown)
      out += one;
    else if (equals == one.npos)
      out += "***";
    else
      out.append(name).append("=***");
  }
  return out;
}

}  // namespace weir::log
