// common/wire/xml.h
// XML as far as a manifest needs it: elements, attributes and text as views of the document, so
// that whoever changes one of them can leave every other byte as it was.
//
// Strict where readers differ, or expand what they read: no DOCTYPE, hence no entities but the
// five predefined ones; every element ends where it should; no attribute twice. Nothing is decoded
// until unescape() is asked to. A tree, as libraries give it, would be written back in other bytes.
//
// Threading: one owner. Bounds: Limits; what is held are the names of open elements.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace weir::xml {

struct Limits {
  std::size_t depth = 64;
  std::size_t attributes = 64;   // of one element
  std::size_t name_bytes = 256;  // of an element or attribute
};

struct Attribute {
  std::string_view name;   // with its prefix, as it is written
  std::string_view value;  // what is between the quotes, escapes included
};

struct Token {
  enum Kind { Start, End, Text, Cdata };  // an empty element starts and ends
  Kind kind = Text;
  std::string_view name;                  // of Start and End
  std::span<const Attribute> attributes;  // of Start; until the next token
  std::string_view text;                  // of Text, with its escapes, and of Cdata
};

class Reader {
 public:
  explicit Reader(std::string_view document, const Limits& limits = {});

  // The next token; nothing once the document has ended as it should. Comments and processing
  // instructions are left out, and what is outside of the root element. Errors: Protocol, Limit.
  Result<std::optional<Token>> next();

 private:
  Result<std::optional<Token>> text();
  Result<std::optional<Token>> start();
  Result<std::optional<Token>> end();
  Result<void> attributes();
  Result<std::string_view> name();
  // What comes before `mark`, which is passed over too.
  Result<std::string_view> until(std::string_view mark);
  void skip_spaces();

  std::string_view rest_;
  Limits limits_;
  std::vector<std::string_view> open_;
  std::vector<Attribute> attributes_;
  bool rooted_ = false;  // the root element has begun
  bool empty_ = false;   // the element that began last has no content: its End is next
};

// "mpd:BaseURL" -> "BaseURL".
std::string_view local_name(std::string_view name);

// Without white space at either end.
std::string_view trim(std::string_view text);

// Text or an attribute's value with its escapes resolved, and the way back. Errors: Protocol for
// entities that no DTD has declared and for references to what is no character.
Result<std::string> unescape(std::string_view raw);
std::string escape(std::string_view text);

}  // namespace weir::xml
