#include "proxy/whip_json.h"

#include <sstream>

#include "common/json_object.h"

namespace weir {

namespace {

Result<Poco::JSON::Object::Ptr> object_of(const std::string& body) {
  return parse_json_object(body, kJsonDepth, FieldOrder::AsWritten);
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
