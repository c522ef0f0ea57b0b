#include "common/wire/amf0.h"

#include <limits>
#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::amf0;

namespace {

ByteBuffer bytes_of(const Value& value) {
  ByteBuffer out;
  encode(value, out);
  return out;
}

Value round_trip(const Value& value) {
  const ByteBuffer bytes = bytes_of(value);
  ByteView input = bytes;
  auto decoded = decode_one(input);
  REQUIRE(decoded.has_value());
  REQUIRE(input.empty());
  return *decoded;
}

// Arrays inside one another, the innermost empty.
ByteBuffer nested_arrays(int depth) {
  ByteBuffer out;
  for (int i = 1; i < depth; ++i) append(out, ByteBuffer{10, 0, 0, 0, 1});
  append(out, ByteBuffer{10, 0, 0, 0, 0});
  return out;
}

ByteBuffer nested_objects(int depth) {
  ByteBuffer out;
  for (int i = 1; i < depth; ++i) append(out, ByteBuffer{3, 0, 1, 'a'});
  append(out, ByteBuffer{3});
  for (int i = 0; i < depth; ++i) append(out, ByteBuffer{0, 0, 9});
  return out;
}

Value object_of(int properties) {
  Value object = Value::object();
  for (int i = 0; i < properties; ++i) object.set("p" + std::to_string(i), i);
  return object;
}

Errc code_of(const ByteBuffer& bytes, const Limits& limits = {}) {
  auto values = decode(bytes, limits);
  REQUIRE_FALSE(values.has_value());
  return values.error().code;
}

}  // namespace

TEST_CASE("a connect command decodes to its values in order", "[amf0]") {
  const ByteBuffer bytes = {2,   0,   7, 'c', 'o', 'n', 'n', 'e', 'c', 't', 0, 0x3f, 0xf0, 0,   0,
                            0,   0,   0, 0,   3,   0,   3,   'a', 'p', 'p', 2, 0,    4,    'l', 'i',
                            'v', 'e', 0, 4,   'f', 'p', 'a', 'd', 1,   0,   0, 0,    9};
  auto values = decode(bytes);
  REQUIRE(values.has_value());
  REQUIRE(values->size() == 3);
  CHECK((*values)[0].text() == "connect");
  CHECK((*values)[1].number() == 1);
  const Value& object = (*values)[2];
  REQUIRE(object.is_object());
  REQUIRE(object.properties().size() == 2);
  CHECK(object.properties()[0].name == "app");
  CHECK(object.find("app")->text() == "live");
  CHECK_FALSE(object.find("fpad")->boolean(true));
  CHECK(object.find("tcUrl") == nullptr);
  CHECK(encode_all({"connect", 1, object}) == bytes);
}

TEST_CASE("every kind survives being written and read", "[amf0]") {
  const Value info = Value::ecma_array({{"duration", 0.0}, {"encoder", "x"}, {"", true}});
  for (const Value& value :
       {Value(), Value(nullptr), Value(-12.5), Value(7), Value(true), Value(false), Value(""),
        Value("text"), Value(std::numeric_limits<double>::quiet_NaN()), Value::undefined(),
        Value::unsupported(), Value::reference(65535), Value::date({1e12, -60}),
        Value::long_string("short"), Value::xml_document("<a/>"), Value::object(), info,
        Value::strict_array({1, "two", Value::object({{"three", info}})}),
        Value::typed_object("org.Class", {{"a", info}})}) {
    const Value copy = round_trip(value);
    CHECK(copy == value);
    CHECK(copy.kind() == value.kind());
  }
  CHECK(round_trip(Value::date({1e12, -60})).date().timezone == -60);
  CHECK(round_trip(Value::typed_object("org.Class", {})).class_name() == "org.Class");
  CHECK(round_trip(Value::reference(513)).reference() == 513);
  CHECK(round_trip(Value::strict_array({1, 2})).items().size() == 2);
}

TEST_CASE("an accessor of the wrong kind gives its fallback", "[amf0]") {
  const Value text = "text";
  CHECK(text.number() == 0);
  CHECK(text.number(7) == 7);
  CHECK(text.boolean(true));
  CHECK(text.find("x") == nullptr);
  CHECK(text.items().empty());
  CHECK(text.properties().empty());
  CHECK(Value(3).text().empty());
  CHECK(Value(3).class_name().empty());
  CHECK_FALSE(Value().is_object());
  CHECK(Value::ecma_array({}).is_object());
  CHECK_FALSE(Value::strict_array({}).is_object());
}

TEST_CASE("set replaces in place and adds at the end", "[amf0]") {
  Value object = Value::object({{"b", 1}, {"a", 2}});
  object.set("b", "new");
  object.set("c", nullptr);
  REQUIRE(object.properties().size() == 3);
  CHECK(object.properties()[0].name == "b");
  CHECK(object.properties()[0].value.text() == "new");
  CHECK(object.properties()[2].name == "c");
}

TEST_CASE("a string that 16 bits cannot count is written as a long string", "[amf0]") {
  const Value longest_short(std::string(65535, 'x'));
  const Value shortest_long(std::string(65536, 'x'));
  CHECK(bytes_of(longest_short)[0] == 2);
  CHECK(bytes_of(shortest_long)[0] == 12);
  CHECK(round_trip(shortest_long).text().size() == 65536);
  CHECK(round_trip(shortest_long) == shortest_long);
}

TEST_CASE("the count of an ecma array is only a hint", "[amf0]") {
  const ByteBuffer bytes = {8, 0xff, 0xff, 0xff, 0xff, 0, 1, 'a', 5, 0, 0, 9};
  auto values = decode(bytes);
  REQUIRE(values.has_value());
  CHECK((*values)[0] == Value::ecma_array({{"a", nullptr}}));
}

TEST_CASE("every truncation of a message is a protocol error", "[amf0]") {
  const ByteBuffer whole =
      bytes_of(Value::object({{"a", Value::strict_array({1, "s", true, Value::reference(1)})},
                              {"b", Value::typed_object("c", {{"d", Value::date({1, 2})}})},
                              {"e", Value::ecma_array({{"f", Value::long_string("g")}})}}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteView input = ByteView(whole).first(size);
    auto value = decode_one(input);
    REQUIRE_FALSE(value.has_value());
    CHECK(value.error().code == Errc::Protocol);
    CHECK(input.size() == size);
  }
}

TEST_CASE("markers that are no value are refused", "[amf0]") {
  for (int marker : {4, 9, 14, 17, 18, 255})
    CHECK(code_of({static_cast<std::uint8_t>(marker), 0, 0, 0, 0}) == Errc::Protocol);
}

TEST_CASE("decode_one stops behind its value", "[amf0]") {
  const ByteBuffer bytes = encode_all({"first", 2});
  ByteView input = bytes;
  CHECK(decode_one(input)->text() == "first");
  CHECK(decode_one(input)->number() == 2);
  CHECK(input.empty());
}

TEST_CASE("an empty message has no values", "[amf0]") { CHECK(decode({})->empty()); }

TEST_CASE("values nest 32 deep and no deeper", "[amf0]") {
  CHECK(decode(nested_arrays(32)).has_value());
  CHECK(decode(nested_objects(32)).has_value());
  CHECK(code_of(nested_arrays(33)) == Errc::Limit);
  CHECK(code_of(nested_objects(33)) == Errc::Limit);
  CHECK(code_of(nested_objects(3'000'000)) == Errc::Limit);
  CHECK(decode(nested_arrays(2), {.depth = 2}).has_value());
  CHECK(code_of(nested_arrays(3), {.depth = 2}) == Errc::Limit);
}

TEST_CASE("properties are counted over the whole message", "[amf0]") {
  CHECK(decode(encode_all({object_of(1024)})).has_value());
  CHECK(code_of(encode_all({object_of(1025)})) == Errc::Limit);
  CHECK(decode(encode_all({object_of(512), object_of(512)})).has_value());
  CHECK(code_of(encode_all({object_of(512), object_of(513)})) == Errc::Limit);
  CHECK(decode(encode_all({Value::strict_array(std::vector<Value>(1024))})).has_value());
  CHECK(code_of(encode_all({Value::strict_array(std::vector<Value>(1025))})) == Errc::Limit);
}

TEST_CASE("the values of a sequence are counted", "[amf0]") {
  CHECK(decode(ByteBuffer(1024, 5)).has_value());
  CHECK(code_of(ByteBuffer(1025, 5)) == Errc::Limit);
}

TEST_CASE("a string may have 65536 bytes and not one more", "[amf0]") {
  CHECK(decode(encode_all({std::string(65536, 'x')})).has_value());
  CHECK(code_of(encode_all({std::string(65537, 'x')})) == Errc::Limit);
  CHECK(decode(encode_all({"abc"}), {.string = 3}).has_value());
  CHECK(code_of(encode_all({"abcd"}), {.string = 3}) == Errc::Limit);
  CHECK(code_of(encode_all({Value::object({{"abcd", 1}})}), {.string = 3}) == Errc::Limit);
}

TEST_CASE("a count beyond what arrived allocates nothing", "[amf0]") {
  CHECK(code_of({10, 0xff, 0xff, 0xff, 0xff, 5}) == Errc::Protocol);
  CHECK(code_of({12, 0, 1, 0, 0, 'x'}) == Errc::Protocol);
  CHECK(code_of({15, 0xff, 0xff, 0xff, 0xff, 'x'}) == Errc::Limit);
}
