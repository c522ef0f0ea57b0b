#include "common/json_object.h"

#include <Poco/JSON/ParseHandler.h>
#include <Poco/JSON/Parser.h>

#include <exception>

namespace weir {

using Poco::JSON::Object;

Result<Object::Ptr> parse_json_object(std::string_view text, std::size_t depth, FieldOrder order) {
  try {
    Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(order == FieldOrder::AsWritten));
    parser.setDepth(depth);
    const auto value = parser.parse(std::string(text));
    if (value.type() == typeid(Object::Ptr)) return value.extract<Object::Ptr>();
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "not JSON");
  }
  return fail(Errc::Protocol, "not a JSON object");
}

std::string text_in(const Object& object, const std::string& field) {
  const auto value = object.get(field);
  return value.isString() ? value.extract<std::string>() : std::string();
}

}  // namespace weir
