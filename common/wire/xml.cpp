#include "common/wire/xml.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace weir::xml {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::string_view kCdata = "<![CDATA[";

struct Entity {
  std::string_view reference;
  char character;
};
constexpr Entity kPredefined[] = {
    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

bool is_space(char c) { return kSpaces.find(c) != std::string_view::npos; }

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_char(char c) {
  return begins_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::Protocol, fmt::format("XML: {}", what));
}

// XML 1.0, production 2.
bool is_character(std::uint32_t code) {
  return code == 0x9 || code == 0xa || code == 0xd || (code >= 0x20 && code <= 0xd7ff) ||
         (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto trailing = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    trailing(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    trailing(6);
    trailing(0);
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    trailing(12);
    trailing(6);
    trailing(0);
  }
}

// What stands between '&' and ';'.
bool append_reference(std::string& out, std::string_view reference) {
  if (!reference.starts_with('#')) {
    const auto found = std::ranges::find(kPredefined, reference, &Entity::reference);
    if (found == std::end(kPredefined)) return false;
    out += found->character;
    return true;
  }
  reference.remove_prefix(1);
  const bool hexadecimal = reference.starts_with('x');
  if (hexadecimal) reference.remove_prefix(1);
  std::uint32_t code = 0;
  const char* const last = reference.data() + reference.size();
  const auto [stop, error] = std::from_chars(reference.data(), last, code, hexadecimal ? 16 : 10);
  if (error != std::errc{} || stop != last || !is_character(code)) return false;
  append_utf8(out, code);
  return true;
}

}  // namespace

Reader::Reader(std::string_view document, const Limits& limits) : rest_(document), limits_(limits) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

Result<std::optional<Token>> Reader::next() {
  if (empty_) {
    empty_ = false;
    const std::string_view name = open_.back();
    open_.pop_back();
    return Token{.kind = Token::End, .name = name, .attributes = {}, .text = {}};
  }
  while (!rest_.empty()) {
    if (!rest_.starts_with('<') || (!open_.empty() && rest_.starts_with(kCdata))) {
      auto token = text();
      if (!token || *token) return token;
    } else if (rest_.starts_with("<!--")) {
      rest_.remove_prefix(4);
      if (const auto comment = until("-->"); !comment) return std::unexpected(comment.error());
    } else if (rest_.starts_with("<?")) {
      if (const auto told = until("?>"); !told) return std::unexpected(told.error());
    } else if (rest_.starts_with("<!")) {
      return malformed("a document type, or a section out of place");
    } else {
      return rest_.starts_with("</") ? end() : start();
    }
  }
  if (!open_.empty()) return malformed(fmt::format("no end of {}", open_.back()));
  if (!rooted_) return malformed("no element");
  return std::nullopt;
}

Result<std::optional<Token>> Reader::text() {
  if (rest_.starts_with(kCdata)) {
    rest_.remove_prefix(kCdata.size());
    const auto section = until("]]>");
    if (!section) return std::unexpected(section.error());
    return Token{.kind = Token::Cdata, .name = {}, .attributes = {}, .text = *section};
  }
  const std::size_t length = std::min(rest_.find('<'), rest_.size());
  const std::string_view piece = rest_.substr(0, length);
  rest_.remove_prefix(length);
  if (!open_.empty())
    return Token{.kind = Token::Text, .name = {}, .attributes = {}, .text = piece};
  if (!trim(piece).empty()) return malformed("text outside of the root element");
  return std::nullopt;
}

Result<std::optional<Token>> Reader::start() {
  if (open_.empty() && rooted_) return malformed("a second root element");
  if (open_.size() >= limits_.depth)
    return fail(Errc::Limit, fmt::format("XML: more than {} elements deep", limits_.depth));
  rooted_ = true;
  rest_.remove_prefix(1);
  const auto element = name();
  if (!element) return std::unexpected(element.error());
  if (auto read = attributes(); !read) return std::unexpected(std::move(read.error()));
  empty_ = rest_.starts_with('/');
  if (empty_) rest_.remove_prefix(1);
  if (!rest_.starts_with('>')) return malformed("a tag without its end");
  rest_.remove_prefix(1);
  open_.push_back(*element);
  return Token{.kind = Token::Start, .name = *element, .attributes = attributes_, .text = {}};
}

Result<std::optional<Token>> Reader::end() {
  rest_.remove_prefix(2);
  const auto element = name();
  if (!element) return std::unexpected(element.error());
  skip_spaces();
  if (!rest_.starts_with('>')) return malformed("a tag without its end");
  rest_.remove_prefix(1);
  if (open_.empty() || open_.back() != *element)
    return malformed(fmt::format("the end of {} where it has not begun", *element));
  open_.pop_back();
  return Token{.kind = Token::End, .name = *element, .attributes = {}, .text = {}};
}

Result<void> Reader::attributes() {
  attributes_.clear();
  while (true) {
    const bool spaced = !rest_.empty() && is_space(rest_.front());
    skip_spaces();
    if (rest_.empty() || rest_.front() == '>' || rest_.front() == '/') return {};
    if (!spaced) return malformed("an attribute without a space before it");
    if (attributes_.size() >= limits_.attributes)
      return fail(Errc::Limit, fmt::format("XML: more than {} attributes", limits_.attributes));
    const auto attribute = name();
    if (!attribute) return std::unexpected(attribute.error());
    skip_spaces();
    if (!rest_.starts_with('=')) return malformed("an attribute without a value");
    rest_.remove_prefix(1);
    skip_spaces();
    if (!rest_.starts_with('"') && !rest_.starts_with('\''))
      return malformed("an attribute's value without quotes");
    const std::string_view quote = rest_.substr(0, 1);
    rest_.remove_prefix(1);
    const auto value = until(quote);
    if (!value) return std::unexpected(value.error());
    if (value->find('<') != std::string_view::npos) return malformed("'<' in an attribute");
    if (std::ranges::find(attributes_, *attribute, &Attribute::name) != attributes_.end())
      return malformed(fmt::format("two attributes {}", *attribute));
    attributes_.push_back({*attribute, *value});
  }
}

Result<std::string_view> Reader::name() {
  const auto stop = std::ranges::find_if_not(rest_, is_name_char);
  const auto length = static_cast<std::size_t>(stop - rest_.begin());
  if (length == 0 || !begins_name(rest_.front())) return malformed("a name that is none");
  if (length > limits_.name_bytes)
    return fail(Errc::Limit, fmt::format("XML: a name of {} bytes", length));
  const std::string_view found = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return found;
}

Result<std::string_view> Reader::until(std::string_view mark) {
  const std::size_t at = rest_.find(mark);
  if (at == std::string_view::npos) return malformed(fmt::format("no {}", mark));
  const std::string_view found = rest_.substr(0, at);
  rest_.remove_prefix(at + mark.size());
  return found;
}

void Reader::skip_spaces() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpaces), rest_.size()));
}

std::string_view local_name(std::string_view name) {
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

Result<std::string> unescape(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  while (!raw.empty()) {
    const std::size_t plain = std::min(raw.find('&'), raw.size());
    text += raw.substr(0, plain);
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    const std::size_t end = raw.find(';');
    if (end == std::string_view::npos || !append_reference(text, raw.substr(1, end - 1)))
      return malformed("an entity that is not known");
    raw.remove_prefix(end + 1);
  }
  return text;
}

std::string escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    const auto found = std::ranges::find(kPredefined, c, &Entity::character);
    if (found == std::end(kPredefined))
      escaped += c;
    else
      escaped += fmt::format("&{};", found->reference);
  }
  return escaped;
}

}  // namespace weir::xml
