#include "common/wire/amf0.h"

#include <spdlog/fmt/fmt.h>

#include <bit>
#include <limits>

#include "common/check.h"

namespace weir::amf0 {
namespace {

constexpr std::size_t kShortStringMax = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint8_t kObjectEnd = 9;

std::unexpected<Error> truncated() { return fail(Errc::Protocol, "AMF0 ends inside a value"); }

// Reads one call's worth of values; what it has read counts against one budget.
class Decoder {
 public:
  Decoder(ByteView input, const Limits& limits)
      : rest_(input), limits_(limits), budget_(limits.properties) {}

  ByteView rest() const { return rest_; }

  // `depth` counts the containers around the value.
  Result<Value> value(int depth) {
    if (rest_.empty()) return truncated();
    const std::uint8_t marker = take(1)[0];
    switch (Kind{marker}) {
      case Kind::Number: {
        if (rest_.size() < 8) return truncated();
        return Value(std::bit_cast<double>(load_be64(take(8))));
      }
      case Kind::Boolean: {
        if (rest_.empty()) return truncated();
        return Value(take(1)[0] != 0);
      }
      case Kind::String: return short_text();
      case Kind::Object: {
        auto properties = this->properties(depth);
        if (!properties) return std::unexpected(std::move(properties.error()));
        return Value::object(std::move(*properties));
      }
      case Kind::Null: return Value();
      case Kind::Undefined: return Value::undefined();
      case Kind::Reference: {
        if (rest_.size() < 2) return truncated();
        return Value::reference(static_cast<std::uint16_t>(load_be16(take(2))));
      }
      case Kind::EcmaArray: {
        if (rest_.size() < 4) return truncated();
        take(4);  // The count is a hint that encoders get wrong; the end marker rules.
        auto properties = this->properties(depth);
        if (!properties) return std::unexpected(std::move(properties.error()));
        return Value::ecma_array(std::move(*properties));
      }
      case Kind::StrictArray: return strict_array(depth);
      case Kind::Date: {
        if (rest_.size() < 10) return truncated();
        const double ms = std::bit_cast<double>(load_be64(take(8)));
        return Value::date({ms, static_cast<std::int16_t>(load_be16(take(2)))});
      }
      case Kind::LongString:
      case Kind::XmlDocument: {
        auto text = long_text();
        if (!text) return std::unexpected(std::move(text.error()));
        return Kind{marker} == Kind::LongString ? Value::long_string(std::move(*text))
                                                : Value::xml_document(std::move(*text));
      }
      case Kind::Unsupported: return Value::unsupported();
      case Kind::TypedObject: {
        auto class_name = short_text();
        if (!class_name) return std::unexpected(std::move(class_name.error()));
        auto properties = this->properties(depth);
        if (!properties) return std::unexpected(std::move(properties.error()));
        return Value::typed_object(std::move(*class_name), std::move(*properties));
      }
    }
    return fail(Errc::Protocol, fmt::format("AMF0 marker {} is not a value", marker));
  }

 private:
  // REQUIRES: size <= rest_.size()
  const std::uint8_t* take(std::size_t size) {
    const std::uint8_t* start = rest_.data();
    rest_ = rest_.subspan(size);
    return start;
  }

  Result<std::string> short_text() {
    if (rest_.size() < 2) return truncated();
    return text(load_be16(take(2)));
  }

  Result<std::string> long_text() {
    if (rest_.size() < 4) return truncated();
    return text(load_be32(take(4)));
  }

  Result<std::string> text(std::size_t size) {
    if (size > limits_.string)
      return fail(Errc::Limit, fmt::format("AMF0 string of {} bytes", size));
    if (size > rest_.size()) return truncated();
    const std::uint8_t* start = take(size);
    return std::string(reinterpret_cast<const char*>(start), size);
  }

  Result<void> enter(int depth) const {
    if (depth < limits_.depth) return {};
    return fail(Errc::Limit, fmt::format("AMF0 nested deeper than {}", limits_.depth));
  }

  Result<void> spend() {
    if (budget_ == 0)
      return fail(Errc::Limit, fmt::format("AMF0 with over {} properties", limits_.properties));
    --budget_;
    return {};
  }

  Result<Properties> properties(int depth) {
    if (auto allowed = enter(depth); !allowed) return std::unexpected(std::move(allowed.error()));
    Properties properties;
    for (;;) {
      auto name = short_text();
      if (!name) return std::unexpected(std::move(name.error()));
      if (rest_.empty()) return truncated();
      if (name->empty() && rest_[0] == kObjectEnd) {
        take(1);
        return properties;
      }
      if (auto paid = spend(); !paid) return std::unexpected(std::move(paid.error()));
      auto value = this->value(depth + 1);
      if (!value) return std::unexpected(std::move(value.error()));
      properties.push_back({std::move(*name), std::move(*value)});
    }
  }

  Result<Value> strict_array(int depth) {
    if (auto allowed = enter(depth); !allowed) return std::unexpected(std::move(allowed.error()));
    if (rest_.size() < 4) return truncated();
    const std::uint32_t count = load_be32(take(4));
    if (count > rest_.size()) return truncated();
    std::vector<Value> items;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (auto paid = spend(); !paid) return std::unexpected(std::move(paid.error()));
      auto item = value(depth + 1);
      if (!item) return item;
      items.push_back(std::move(*item));
    }
    return Value::strict_array(std::move(items));
  }

  ByteView rest_;
  const Limits& limits_;
  std::size_t budget_;
};

void put16(ByteBuffer& out, std::size_t value) {
  std::uint8_t bytes[2];
  store_be16(bytes, static_cast<std::uint32_t>(value));
  append(out, bytes);
}

void put32(ByteBuffer& out, std::size_t value) {
  std::uint8_t bytes[4];
  store_be32(bytes, static_cast<std::uint32_t>(value));
  append(out, bytes);
}

void put_double(ByteBuffer& out, double value) {
  std::uint8_t bytes[8];
  store_be64(bytes, std::bit_cast<std::uint64_t>(value));
  append(out, bytes);
}

void put_short_text(ByteBuffer& out, std::string_view text) {
  INVARIANT(text.size() <= kShortStringMax, text.size());
  put16(out, text.size());
  append(out, as_bytes(text));
}

void put_long_text(ByteBuffer& out, std::string_view text) {
  INVARIANT(text.size() <= std::numeric_limits<std::uint32_t>::max(), text.size());
  put32(out, text.size());
  append(out, as_bytes(text));
}

void put_properties(ByteBuffer& out, std::span<const Property> properties) {
  for (const Property& property : properties) {
    put_short_text(out, property.name);
    encode(property.value, out);
  }
  put_short_text(out, {});
  out.push_back(kObjectEnd);
}

}  // namespace

Value::Value(Kind kind, Storage storage) : kind_(kind), storage_(std::move(storage)) {}
Value::Value() : Value(Kind::Null, std::monostate()) {}
Value::Value(std::nullptr_t) : Value() {}
Value::Value(double number) : Value(Kind::Number, number) {}
Value::Value(bool truth) : Value(Kind::Boolean, truth) {}
Value::Value(int number) : Value(static_cast<double>(number)) {}
Value::Value(const char* text) : Value(std::string(text)) {}
Value::Value(std::string_view text) : Value(std::string(text)) {}
Value::Value(std::string text)
    : kind_(text.size() > kShortStringMax ? Kind::LongString : Kind::String),
      storage_(std::move(text)) {}

Value Value::undefined() { return Value(Kind::Undefined, std::monostate()); }
Value Value::unsupported() { return Value(Kind::Unsupported, std::monostate()); }
Value Value::object() { return object(Properties()); }
Value Value::object(Properties properties) { return Value(Kind::Object, std::move(properties)); }
Value Value::ecma_array(Properties properties) {
  return Value(Kind::EcmaArray, std::move(properties));
}
Value Value::typed_object(std::string class_name, Properties properties) {
  Value value(Kind::TypedObject, std::move(properties));
  value.class_name_ = std::move(class_name);
  return value;
}
Value Value::strict_array(std::vector<Value> items) {
  return Value(Kind::StrictArray, std::move(items));
}
Value Value::date(Date date) { return Value(Kind::Date, date); }
Value Value::reference(std::uint16_t index) { return Value(Kind::Reference, index); }
Value Value::long_string(std::string text) { return Value(Kind::LongString, std::move(text)); }
Value Value::xml_document(std::string text) { return Value(Kind::XmlDocument, std::move(text)); }

bool Value::is_object() const { return std::holds_alternative<Properties>(storage_); }

std::string_view Value::text() const {
  const auto* text = std::get_if<std::string>(&storage_);
  return text ? std::string_view(*text) : std::string_view();
}

double Value::number(double fallback) const {
  const auto* number = std::get_if<double>(&storage_);
  return number ? *number : fallback;
}

bool Value::boolean(bool fallback) const {
  const auto* truth = std::get_if<bool>(&storage_);
  return truth ? *truth : fallback;
}

Date Value::date() const {
  const auto* date = std::get_if<Date>(&storage_);
  return date ? *date : Date();
}

std::uint16_t Value::reference() const {
  const auto* index = std::get_if<std::uint16_t>(&storage_);
  return index ? *index : std::uint16_t{0};
}

std::string_view Value::class_name() const { return class_name_; }

std::span<const Property> Value::properties() const {
  const auto* properties = std::get_if<Properties>(&storage_);
  return properties ? std::span<const Property>(*properties) : std::span<const Property>();
}

std::span<const Value> Value::items() const {
  const auto* items = std::get_if<std::vector<Value>>(&storage_);
  return items ? std::span<const Value>(*items) : std::span<const Value>();
}

const Value* Value::find(std::string_view name) const {
  for (const Property& property : properties())
    if (property.name == name) return &property.value;
  return nullptr;
}

void Value::set(std::string name, Value value) {
  INVARIANT(is_object(), static_cast<int>(kind_));
  auto& properties = std::get<Properties>(storage_);
  for (Property& property : properties) {
    if (property.name == name) {
      property.value = std::move(value);
      return;
    }
  }
  properties.push_back({std::move(name), std::move(value)});
}

void Value::erase(std::string_view name) {
  INVARIANT(is_object(), static_cast<int>(kind_));
  std::erase_if(std::get<Properties>(storage_),
                [name](const Property& property) { return property.name == name; });
}

bool operator==(const Value& a, const Value& b) {
  ByteBuffer a_bytes;
  ByteBuffer b_bytes;
  encode(a, a_bytes);
  encode(b, b_bytes);
  return a_bytes == b_bytes;
}

Result<std::vector<Value>> decode(ByteView input, const Limits& limits) {
  Decoder decoder(input, limits);
  std::vector<Value> values;
  while (!decoder.rest().empty()) {
    if (values.size() == limits.properties)
      return fail(Errc::Limit, fmt::format("AMF0 sequence of over {} values", limits.properties));
    auto value = decoder.value(0);
    if (!value) return std::unexpected(std::move(value.error()));
    values.push_back(std::move(*value));
  }
  return values;
}

Result<Value> decode_one(ByteView& input, const Limits& limits) {
  Decoder decoder(input, limits);
  auto value = decoder.value(0);
  if (value) input = decoder.rest();
  return value;
}

void encode(const Value& value, ByteBuffer& out) {
  out.push_back(static_cast<std::uint8_t>(value.kind()));
  switch (value.kind()) {
    case Kind::Number: return put_double(out, value.number());
    case Kind::Boolean: return out.push_back(value.boolean() ? 1 : 0);
    case Kind::String: return put_short_text(out, value.text());
    case Kind::Null:
    case Kind::Undefined:
    case Kind::Unsupported: return;
    case Kind::Reference: return put16(out, value.reference());
    case Kind::EcmaArray: put32(out, value.properties().size()); [[fallthrough]];
    case Kind::Object: return put_properties(out, value.properties());
    case Kind::TypedObject:
      put_short_text(out, value.class_name());
      return put_properties(out, value.properties());
    case Kind::StrictArray:
      put32(out, value.items().size());
      for (const Value& item : value.items()) encode(item, out);
      return;
    case Kind::Date:
      put_double(out, value.date().ms);
      return put16(out, static_cast<std::uint16_t>(value.date().timezone));
    case Kind::LongString:
    case Kind::XmlDocument: return put_long_text(out, value.text());
  }
}

ByteBuffer encode_all(std::initializer_list<Value> values) {
  ByteBuffer out;
  for (const Value& value : values) encode(value, out);
  return out;
}

}  // namespace weir::amf0
