#include "common/wire/xml.h"

#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

using namespace weir;

namespace {

// The tokens as text, or the error.
std::string read(std::string_view document, const xml::Limits& limits = {}) {
  xml::Reader reader(document, limits);
  std::string told;
  while (true) {
    const auto token = reader.next();
    if (!token) return fmt::format("{}!{}", told, name(token.error().code));
    if (!*token) return told;
    switch ((*token)->kind) {
      case xml::Token::Start:
        told += fmt::format("({}", (*token)->name);
        for (const auto& [attribute, value] : (*token)->attributes)
          told += fmt::format(" {}={}", attribute, value);
        break;
      case xml::Token::End: told += fmt::format("{})", (*token)->name); break;
      case xml::Token::Text: told += fmt::format("[{}]", (*token)->text); break;
      case xml::Token::Cdata: told += fmt::format("{{{}}}", (*token)->text); break;
    }
  }
}

bool malformed(std::string_view document) { return read(document).ends_with("!protocol"); }

std::string nested(std::size_t depth) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += "<a>";
  for (std::size_t i = 0; i < depth; ++i) text += "</a>";
  return text;
}

std::string attributes(std::size_t count) {
  std::string text = "<a";
  for (std::size_t i = 0; i < count; ++i) text += fmt::format(" n{}=''", i);
  return text + "/>";
}

}  // namespace

TEST_CASE("elements, attributes and text are told as they are written", "[xml]") {
  CHECK(read("\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a<b -->\n<m:a x = \"1&amp;2\"\ty='\"'>\n"
             "t&lt;<b/><![CDATA[<c>&]]><?p i?></m:a >\n<!---->") ==
        "(m:a x=1&amp;2 y=\"[\nt&lt;](bb){<c>&}m:a)");
  CHECK(read("<a><b><c/></b></a>") == "(a(b(cc)b)a)");
}

TEST_CASE("what is not well-formed is refused", "[xml]") {
  for (const char* text : {"",
                           " ",
                           "a",
                           "<",
                           "<a",
                           "<a>",
                           "<a></b>",
                           "</a>",
                           "<a/></a>",
                           "<a/><a/>",
                           "<a/>x",
                           "<a x></a>",
                           "<a x=1/>",
                           "<a x='1'y='2'/>",
                           "<a x='1' x='2'/>",
                           "<a x='<'/>",
                           "<a x='/>",
                           "<1/>",
                           "< a/>",
                           "<a / >",
                           "<!-- <a/>",
                           "<?p <a/>",
                           "<a><![CDATA[</a>",
                           "<![CDATA[a]]><a/>",
                           "<a><!b></a>",
                           "<!doctype html><a/>"}) {
    INFO(text);
    CHECK(malformed(text));
  }
}

TEST_CASE("a document type is refused, and with it all that expands", "[xml]") {
  CHECK(malformed("<!DOCTYPE a [<!ENTITY b \"cc\">]><a>&b;</a>"));
  CHECK(malformed("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"));
}

TEST_CASE("depth, attributes and names are bounded", "[xml]") {
  const xml::Limits limits{.depth = 5, .attributes = 3, .name_bytes = 4};
  CHECK_FALSE(read(nested(5), limits).ends_with("!limit"));
  CHECK(read(nested(6), limits).ends_with("!limit"));
  CHECK_FALSE(read(attributes(3), limits).ends_with("!limit"));
  CHECK(read(attributes(4), limits).ends_with("!limit"));
  CHECK(read("<abcd/>", limits) == "(abcdabcd)");
  CHECK(read("<abcde/>", limits) == "!limit");
  CHECK(read(nested(1'000'000)).ends_with("!limit"));
}

TEST_CASE("escapes are resolved, and made again", "[xml]") {
  CHECK(xml::unescape("a&amp;b&lt;&gt;&quot;&apos;") == "a&b<>\"'");
  CHECK(xml::unescape("&#65;&#x42;&#xe9;&#x20AC;&#x1F600;") == "AB\u00e9\u20ac\U0001F600");
  CHECK(xml::escape("a&b<>\"'") == "a&amp;b&lt;&gt;&quot;&apos;");
  for (const char* text : {"&", "&amp", "&nbsp;", "&#;", "&#x;", "&#0;", "&#xD800;", "&#x110000;",
                           "&#-1;", "&#99999999999;", "&#12a;", "a & b"}) {
    INFO(text);
    CHECK_FALSE(xml::unescape(text));
  }
}

TEST_CASE("a name has a prefix or has none", "[xml]") {
  CHECK(xml::local_name("mpd:BaseURL") == "BaseURL");
  CHECK(xml::local_name("BaseURL") == "BaseURL");
  CHECK(xml::trim(" \r\n\ta b ") == "a b");
}
