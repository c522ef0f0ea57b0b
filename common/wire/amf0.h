// common/wire/amf0.h
// AMF0, the value notation of RTMP commands and of FLV script tags: bytes to values and back.
//
// A Value keeps what arrived, so that a connect object travels upstream as the client wrote it: the
// order of properties, the kind of each string, repeated names. Only the count of an ECMA array, a
// hint, is written anew.
//
// Threading: values, like std::string.
//
// Bounds: Limits. Decoding recurses at most `depth` deep and refuses what nests deeper; properties
// and array items are counted over the whole call; nothing is reserved on the word of a length
// field.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::amf0 {

// The markers on the wire (AMF0 section 2.1).
enum class Kind : std::uint8_t {
  Number = 0,
  Boolean = 1,
  String = 2,
  Object = 3,
  Null = 5,
  Undefined = 6,
  Reference = 7,
  EcmaArray = 8,
  StrictArray = 10,
  Date = 11,
  LongString = 12,
  Unsupported = 13,
  XmlDocument = 15,
  TypedObject = 16
};

struct Limits {
  int depth = 32;                 // containers inside one another
  std::size_t properties = 1024;  // properties and items together; and, apart, values in sequence
  std::size_t string = 65536;     // bytes of one string or name
};

struct Date {
  double ms = 0;  // since 1970 in UTC
  std::int16_t timezone = 0;
};

struct Property;
using Properties = std::vector<Property>;

class Value {
 public:
  Value();  // Null
  // Implicit, so that a command reads encode_all({"onStatus", 0, nullptr, info}).
  Value(std::nullptr_t);
  Value(double number);
  Value(int number);
  Value(bool truth);
  Value(const char* text);
  Value(std::string_view text);
  Value(std::string text);  // a LongString when 16 bits cannot count it

  static Value undefined();
  static Value unsupported();
  static Value object();
  static Value object(Properties properties);
  static Value ecma_array(Properties properties);
  static Value typed_object(std::string class_name, Properties properties);
  static Value strict_array(std::vector<Value> items);
  static Value date(Date date);
  static Value reference(std::uint16_t index);
  static Value long_string(std::string text);
  static Value xml_document(std::string text);

  Kind kind() const { return kind_; }
  bool is_string() const { return kind_ == Kind::String || kind_ == Kind::LongString; }
  bool is_object() const;  // has named properties: Object, EcmaArray or TypedObject

  // What the value holds; the fallback or emptiness when it is of another kind.
  std::string_view text() const;  // of String, LongString, XmlDocument
  double number(double fallback = 0) const;
  bool boolean(bool fallback = false) const;
  Date date() const;
  std::uint16_t reference() const;
  std::string_view class_name() const;
  std::span<const Property> properties() const;
  std::span<const Value> items() const;

  // The first property of that name; null when there is none, or when this is no object.
  const Value* find(std::string_view name) const;
  // Replaces the first property of that name, else adds one at the end. REQUIRES: is_object().
  void set(std::string name, Value value);
  // All properties of that name. REQUIRES: is_object().
  void erase(std::string_view name);

  // Equal as bytes on the wire: NaN equals itself, a String is no LongString.
  friend bool operator==(const Value& a, const Value& b);

 private:
  using Storage = std::variant<std::monostate, bool, double, std::string, Date, std::uint16_t,
                               std::vector<Value>, Properties>;

  Value(Kind kind, Storage storage);
  Kind kind_;
  Storage storage_;
  std::string class_name_;
};

struct Property {
  std::string name;
  Value value;
};

// A whole message: every value up to the end of `input`. Errors: Protocol, Limit.
Result<std::vector<Value>> decode(ByteView input, const Limits& limits = {});
// One value, which `input` is advanced past; on an error `input` stays as it was.
Result<Value> decode_one(ByteView& input, const Limits& limits = {});

// REQUIRES: names and class names of at most 65535 bytes, other text under 4 GiB.
void encode(const Value& value, ByteBuffer& out);
ByteBuffer encode_all(std::initializer_list<Value> values);

}  // namespace weir::amf0
