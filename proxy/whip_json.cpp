#include "proxy/whip_json.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <exception>
#include <sstream>

namespace weir {

namespace {

constexpr std::size_t kDepth = 8;

Result<Poco::JSON::Object::Ptr> object_of(const std::string& body) {
  try {
    Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(true));
    parser.setDepth(kDepth);
    const auto value = parser.parse(body);
    if (value.type() == typeid(Poco::JSON::Object::Ptr))
      return value.extract<Poco::JSON::Object::Ptr>();
    return fail(Errc::Protocol, "not a JSON object");
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "not JSON");
  }
}

}  // namespace

Result<std::string> json_text(const std::string& body, const std::string& field) {
  auto object = object_of(body);
  if (!object) return std::unexpected(object.error());
  const auto value = (*object)->get(field);
  if (!value.isString()) return fail(Errc::Protocol, "no text in field " + field);
  return value.extract<std::string>();
}

Result<std::string> with_json_text(const std::string& body, const std::string& field,
                                   const std::string& text) {
  auto object = object_of(body);
  if (!object) return std::unexpected(object.error());
  (*object)->set(field, text);
  std::ostringstream out;
  (*object)->stringify(out);
  return out.str();
}

}  // namespace weir
