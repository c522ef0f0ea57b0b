#include "common/wire/mpd.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "common/wire/splice.h"
#include "common/wire/xml.h"

namespace weir::mpd {
namespace {

using std::chrono::milliseconds;

constexpr double kLongestSeconds = 1e6;  // a period beyond is nonsense

constexpr std::string_view kUriElements[] = {"BaseURL", "Location", "PatchLocation",
                                             "ContentSteering"};

struct UriAttribute {
  std::string_view element;
  std::string_view attribute;
};
constexpr UriAttribute kUriAttributes[] = {
    {"SegmentTemplate", "media"},
    {"SegmentTemplate", "initialization"},
    {"SegmentTemplate", "index"},
    {"SegmentTemplate", "bitstreamSwitching"},
    {"SegmentURL", "media"},
    {"SegmentURL", "index"},
    {"Initialization", "sourceURL"},
    {"RepresentationIndex", "sourceURL"},
    {"BitstreamSwitching", "sourceURL"},
    {"InitializationSet", "initialization"},
};

bool is_uri(std::string_view element, std::string_view attribute) {
  if (attribute == "xlink:href") return true;
  return std::ranges::any_of(kUriAttributes, [&](const UriAttribute& known) {
    return known.element == element && known.attribute == attribute;
  });
}

bool is_uri_element(std::string_view element) {
  return std::ranges::find(kUriElements, element) != std::end(kUriElements);
}

// An xs:duration, "P1DT2H3M4.5S". Years and months have no length of their own and must be 0.
std::optional<milliseconds> duration(std::string_view text) {
  if (!text.starts_with('P')) return std::nullopt;
  text.remove_prefix(1);
  bool in_time = false;
  double total = 0;
  while (!text.empty()) {
    if (text.front() == 'T' && !in_time) {
      in_time = true;
      text.remove_prefix(1);
      continue;
    }
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (error != std::errc{} || stop == end || !(value >= 0)) return std::nullopt;
    const char unit = *stop;
    text.remove_prefix(static_cast<std::size_t>(stop + 1 - text.data()));
    if (in_time && unit == 'S')
      total += value;
    else if (in_time && unit == 'M')
      total += value * 60;
    else if (in_time && unit == 'H')
      total += value * 3600;
    else if (!in_time && unit == 'D')
      total += value * 86400;
    else if (in_time || (unit != 'Y' && unit != 'M') || value != 0)
      return std::nullopt;
  }
  if (!(total <= kLongestSeconds)) return std::nullopt;
  return std::chrono::round<milliseconds>(std::chrono::duration<double>(total));
}

// What an open element means for the URIs in it.
struct Scope {
  bool elsewhere = false;
  bool based = false;  // a BaseURL of its own has been seen
};

// The text of an element that holds a URI, while it is open.
struct Content {
  std::string_view raw;
  bool cdata = false;
};

// Goes through a document; `splice` and `rewriter` are both null when nobody wants it changed.
class Walker {
 public:
  Walker(const UriRewriter* rewriter, Splice* splice) : rewriter_(rewriter), splice_(splice) {}

  Result<Facts> walk(std::string_view text, const Limits& limits);

 private:
  Result<void> start(const xml::Token& token);
  Result<void> text(const xml::Token& token);
  Result<void> end(const xml::Token& token);
  Result<void> end_uri(std::string_view element);
  void note_base(bool elsewhere);
  void note_root(const xml::Token& token);
  // Whether it leads elsewhere.
  Result<bool> rewrite(std::string_view raw, bool cdata, bool is_base, bool outside);

  const UriRewriter* rewriter_;
  Splice* splice_;
  Facts facts_;
  std::vector<Scope> scopes_;
  std::optional<Content> content_;
};

Result<Facts> Walker::walk(std::string_view document, const Limits& limits) {
  if (document.size() > limits.bytes)
    return fail(Errc::Limit, fmt::format("manifest of {} bytes", document.size()));
  xml::Reader reader(document);
  while (true) {
    const auto token = reader.next();
    if (!token) return std::unexpected(token.error());
    if (!*token) return facts_;
    const auto walked = (*token)->kind == xml::Token::Start ? start(**token)
                        : (*token)->kind == xml::Token::End ? end(**token)
                                                            : text(**token);
    if (!walked) return std::unexpected(walked.error());
  }
}

Result<void> Walker::start(const xml::Token& token) {
  if (content_) return fail(Errc::Protocol, "manifest: an element inside a URI");
  const std::string_view element = xml::local_name(token.name);
  if (scopes_.empty()) note_root(token);
  const bool elsewhere = !scopes_.empty() && scopes_.back().elsewhere;
  for (const xml::Attribute& attribute : token.attributes) {
    if (!is_uri(element, attribute.name)) continue;
    auto done = rewrite(attribute.value, false, false, elsewhere);
    if (!done) return std::unexpected(std::move(done.error()));
  }
  scopes_.push_back({.elsewhere = elsewhere});
  if (is_uri_element(element)) content_.emplace();
  return {};
}

Result<void> Walker::text(const xml::Token& token) {
  if (!content_ || xml::trim(token.text).empty()) return {};
  if (!content_->raw.empty()) return fail(Errc::Protocol, "manifest: a URI in pieces");
  *content_ = {.raw = xml::trim(token.text), .cdata = token.kind == xml::Token::Cdata};
  return {};
}

Result<void> Walker::end(const xml::Token& token) {
  scopes_.pop_back();
  if (!content_) return {};
  return end_uri(xml::local_name(token.name));
}

Result<void> Walker::end_uri(std::string_view element) {
  const Content content = *content_;
  content_.reset();
  const bool is_base = element == "BaseURL" && !scopes_.empty();
  // Siblings that came before do not change what this one is relative to.
  const bool inherited = is_base && scopes_.size() > 1 && scopes_[scopes_.size() - 2].elsewhere;
  auto elsewhere = rewrite(content.raw, content.cdata, is_base, inherited);
  if (!elsewhere) return std::unexpected(std::move(elsewhere.error()));
  if (is_base) note_base(*elsewhere);
  return {};
}

void Walker::note_base(bool elsewhere) {
  Scope& scope = scopes_.back();
  scope.elsewhere = elsewhere && (!scope.based || scope.elsewhere);
  scope.based = true;
}

void Walker::note_root(const xml::Token& token) {
  facts_.manifest = xml::local_name(token.name) == "MPD";
  if (!facts_.manifest) return;
  for (const xml::Attribute& attribute : token.attributes) {
    if (attribute.name == "type") facts_.dynamic = attribute.value == "dynamic";
    if (attribute.name == "minimumUpdatePeriod")
      facts_.minimum_update_period = duration(attribute.value);
  }
}

Result<bool> Walker::rewrite(std::string_view raw, bool cdata, bool is_base, bool outside) {
  raw = xml::trim(raw);
  if (rewriter_ == nullptr || raw.empty()) return outside;
  auto uri = cdata ? Result<std::string>(raw) : xml::unescape(raw);
  if (!uri) return std::unexpected(std::move(uri.error()));
  const UriReference parts = split_uri(*uri);
  if (outside && parts.is_relative()) return true;
  const bool only_base = is_base && (parts.path.empty() || parts.path.ends_with('/'));
  const auto other = (*rewriter_)(*uri, only_base ? UriUse::Base : UriUse::Fetched);
  if (!other) return !parts.is_relative();
  splice_->replace(raw, cdata ? *other : xml::escape(*other));
  return false;
}

}  // namespace

Result<Facts> inspect(std::string_view text, const Limits& limits) {
  return Walker(nullptr, nullptr).walk(text, limits);
}

Result<std::string> rewrite(std::string_view text, const UriRewriter& rewriter,
                            const Limits& limits) {
  Splice splice(text);
  auto facts = Walker(&rewriter, &splice).walk(text, limits);
  if (!facts) return std::unexpected(std::move(facts.error()));
  return std::move(splice).finish();
}

}  // namespace weir::mpd
