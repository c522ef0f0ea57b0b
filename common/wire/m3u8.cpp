#include "common/wire/m3u8.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "common/wire/splice.h"

namespace weir::m3u8 {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kFirstLine = "#EXTM3U";
constexpr std::string_view kUriAttributes[] = {"URI", "SERVER-URI", "X-ASSET-URI", "X-ASSET-LIST"};
constexpr double kLongestSeconds = 1e6;  // a duration beyond is nonsense

constexpr std::string_view kBlanks = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::optional<milliseconds> seconds(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  const bool whole = error == std::errc{} && stop == end;
  if (!whole || !(value >= 0 && value <= kLongestSeconds)) return std::nullopt;
  return std::chrono::round<milliseconds>(std::chrono::duration<double>(value));
}

struct Attribute {
  std::string_view name;
  std::string_view value;  // without its quotes
  bool quoted = false;
};

// RFC 8216bis 4.2: NAME=value or NAME="value", separated by commas. What is neither is skipped.
std::optional<Attribute> next_attribute(std::string_view& rest) {
  while (!rest.empty()) {
    const std::size_t mark = std::min(rest.find_first_of("=,"), rest.size());
    const std::string_view name = trim(rest.substr(0, mark));
    const bool named = mark < rest.size() && rest[mark] == '=';
    rest.remove_prefix(std::min(mark + 1, rest.size()));
    if (!named) continue;
    if (rest.starts_with('"')) {
      const std::size_t close = rest.find('"', 1);
      if (close == std::string_view::npos) return std::nullopt;
      const std::string_view value = rest.substr(1, close - 1);
      rest.remove_prefix(close + 1);
      return Attribute{name, value, true};
    }
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view value = trim(rest.substr(0, comma));
    rest.remove_prefix(comma);
    return Attribute{name, value};
  }
  return std::nullopt;
}

// Goes through a playlist and tells where its URIs are.
class Reader {
 public:
  using Found = std::function<void(std::string_view uri)>;
  explicit Reader(Found found) : found_(std::move(found)) {}

  Result<Facts> read(std::string_view text, const Limits& limits);

 private:
  void read_tag(std::string_view line);
  void note(std::string_view tag, const Attribute& attribute);

  Found found_;
  Facts facts_;
};

Result<Facts> Reader::read(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes)
    return fail(Errc::Limit, fmt::format("playlist of {} bytes", text.size()));
  std::size_t lines = 0;
  while (!text.empty()) {
    if (++lines > limits.lines)
      return fail(Errc::Limit, fmt::format("playlist of more than {} lines", limits.lines));
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > limits.line_bytes)
      return fail(Errc::Limit, fmt::format("playlist line of {} bytes", line.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim(line);
    if (lines == 1 && line != kFirstLine) break;
    if (line.starts_with('#'))
      read_tag(line);
    else if (!line.empty())
      found_(line);
    if (text.empty()) return facts_;
  }
  return fail(Errc::Protocol, "not a playlist: it does not begin with #EXTM3U");
}

void Reader::read_tag(std::string_view line) {
  if (!line.starts_with("#EXT-X-")) return;
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view tag = line.substr(0, colon);
  std::string_view rest = line.substr(std::min(colon + 1, line.size()));
  if (tag == "#EXT-X-ENDLIST") facts_.ended = true;
  if (tag == "#EXT-X-STREAM-INF") facts_.multivariant = true;
  if (tag == "#EXT-X-TARGETDURATION") facts_.target_duration = seconds(trim(rest));
  while (const auto attribute = next_attribute(rest)) note(tag, *attribute);
}

void Reader::note(std::string_view tag, const Attribute& attribute) {
  if (tag == "#EXT-X-PART-INF" && attribute.name == "PART-TARGET")
    facts_.part_target = seconds(attribute.value);
  if (tag == "#EXT-X-SERVER-CONTROL" && attribute.name == "CAN-BLOCK-RELOAD")
    facts_.can_block_reload = attribute.value == "YES";
  const bool is_uri = std::ranges::find(kUriAttributes, attribute.name) != std::end(kUriAttributes);
  if (is_uri && attribute.quoted && !attribute.value.empty()) found_(attribute.value);
}

}  // namespace

Result<Facts> inspect(std::string_view text, const Limits& limits) {
  return Reader([](std::string_view) {}).read(text, limits);
}

Result<std::string> rewrite(std::string_view text, const UriRewriter& rewriter,
                            const Limits& limits) {
  Splice splice(text);
  auto facts = Reader([&](std::string_view uri) {
                 if (const auto other = rewriter(uri, UriUse::Fetched)) splice.replace(uri, *other);
               }).read(text, limits);
  if (!facts) return std::unexpected(std::move(facts.error()));
  return std::move(splice).finish();
}

}  // namespace weir::m3u8
