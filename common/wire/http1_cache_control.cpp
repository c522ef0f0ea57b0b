#include "common/wire/http1_cache_control.h"

#include <algorithm>

namespace weir::http {
namespace {

using std::chrono::seconds;

// Where the directive at the front of `text` ends: at a comma outside of quotes.
std::size_t directive_length(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == ',') {
      return i;
    }
  }
  return text.size();
}

std::string_view without_quotes(std::string_view value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

struct Directive {
  std::string_view name;
  std::optional<std::string_view> value;

  bool is(std::string_view other) const { return same_ignoring_case(name, other); }
};

void shorten(std::optional<seconds>& lifetime, const Directive& directive) {
  const auto value = directive.value ? parse_delta_seconds(without_quotes(*directive.value))
                                     : std::optional<seconds>();
  const seconds said = value.value_or(seconds(0));
  lifetime = std::min(said, lifetime.value_or(said));
}

void apply(const Directive& directive, CacheControl& control) {
  if (directive.is("no-store")) control.no_store = true;
  if (directive.is("no-cache")) control.no_cache = true;
  if (directive.is("private")) control.is_private = true;
  if (directive.is("public")) control.is_public = true;
  if (directive.is("must-revalidate")) control.must_revalidate = true;
  if (directive.is("proxy-revalidate")) control.proxy_revalidate = true;
  if (directive.is("must-understand")) control.must_understand = true;
  if (directive.is("only-if-cached")) control.only_if_cached = true;
  if (directive.is("max-age")) shorten(control.max_age, directive);
  if (directive.is("s-maxage")) shorten(control.s_maxage, directive);
  if (directive.is("stale-while-revalidate")) shorten(control.stale_while_revalidate, directive);
  if (directive.is("stale-if-error")) shorten(control.stale_if_error, directive);
  if (directive.is("max-stale")) {
    if (directive.value)
      shorten(control.max_stale, directive);
    else
      control.max_stale = control.max_stale.value_or(CacheControl::kForever);
  }
  // Here the longer one is the stricter one.
  if (directive.is("min-fresh")) {
    const auto value = parse_delta_seconds(without_quotes(directive.value.value_or("")));
    const seconds said = value.value_or(CacheControl::kForever);
    control.min_fresh = std::max(said, control.min_fresh.value_or(said));
  }
}

}  // namespace

std::optional<seconds> parse_delta_seconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  seconds::rep value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min<seconds::rep>(value * 10 + (c - '0'), CacheControl::kForever.count());
  }
  return seconds(value);
}

CacheControl cache_control_of(const Headers& headers) {
  CacheControl control;
  for (const Header& field : headers) {
    if (!same_ignoring_case(field.name, "Cache-Control")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t length = directive_length(rest);
      const std::string_view text = trim(rest.substr(0, length));
      rest.remove_prefix(std::min(length + 1, rest.size()));
      const std::size_t equals = text.find('=');
      Directive directive{text.substr(0, equals), std::nullopt};
      if (equals != std::string_view::npos) directive.value = text.substr(equals + 1);
      apply(directive, control);
    }
  }
  return control;
}

}  // namespace weir::http
