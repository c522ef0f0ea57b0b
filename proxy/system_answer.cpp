#include "proxy/system_answer.h"

#include <spdlog/fmt/fmt.h>

#include <sstream>

namespace weir {

using Poco::JSON::Object;

SystemAnswer ok(const Object& object) {
  std::ostringstream text;
  object.stringify(text);
  return {.status = 200, .body = text.str()};
}

SystemAnswer refusal(int status, const std::string& why) {
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  object.set("code", status);
  object.set("error", why);
  SystemAnswer answer = ok(object);
  answer.status = status;
  return answer;
}

SystemAnswer refusal(const Error& why) {
  switch (why.code) {
    case Errc::Protocol: return refusal(400, why.text);
    case Errc::Denied: return refusal(403, why.text);
    case Errc::NotFound: return refusal(404, why.text);
    case Errc::Busy: return refusal(409, why.text);
    default: return refusal(503, why.text);
  }
}

SystemAnswer wrong_method(std::string allow) {
  SystemAnswer answer = refusal(405, fmt::format("only {} here", allow));
  answer.allow = std::move(allow);
  return answer;
}

Object::Ptr NodeIdentity::begin() const {
  Object::Ptr object = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  object->set("code", 0);
  object->set("server", server);
  object->set("service", service);
  object->set("pid", pid);
  return object;
}

}  // namespace weir
