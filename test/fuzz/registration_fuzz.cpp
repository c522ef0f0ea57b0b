// Any body gives a registration that routing can bear, or an error that names the place. What was accepted is
// accepted again, with the same result, when written anew in full.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <cstdlib>
#include <sstream>

#include "proxy/registration.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool acceptable(const std::string& text) {
  if (text.size() > weir::kMaxRegistrationText) return false;
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

std::string written(const weir::Registration& made) {
  constexpr const char* kFields[] = {"rtmp", "http", "api", "rtc", "srt", "rtsp"};
  Poco::JSON::Object object;
  object.set("ip", made.host);
  object.set("server", made.server);
  object.set("service", made.service);
  object.set("pid", made.pid);
  object.set("device_id", made.device_id);
  for (std::size_t i = 0; i < weir::kProtocolCount; ++i) {
    Poco::JSON::Array::Ptr list = new Poco::JSON::Array;
    for (const auto& endpoint : made.endpoints[i]) list->add(weir::to_string(endpoint));
    object.set(kFields[i], list);
  }
  std::ostringstream text;
  object.stringify(text);
  return text.str();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  const auto made = weir::parse_registration(body);
  if (!made) {
    require(made.error().code == weir::Errc::Protocol || made.error().code == weir::Errc::Limit);
    require(made.error().text.starts_with("field ") || made.error().text.starts_with("body: "));
    require(acceptable(made.error().text));
    return 0;
  }
  for (const auto* text : {&made->server, &made->service, &made->pid, &made->host})
    require(!text->empty() && acceptable(*text));
  require(acceptable(made->device_id));
  std::size_t endpoints = 0;
  for (const auto& list : made->endpoints) {
    require(list.size() <= weir::kMaxRegistrationEndpoints);
    for (const auto& endpoint : list) require(endpoint.port != 0 && !endpoint.host.empty());
    endpoints += list.size();
  }
  require(endpoints > 0);

  const auto again = weir::parse_registration(written(*made));
  require(again.has_value());
  require(again->server == made->server && again->service == made->service &&
          again->pid == made->pid && again->device_id == made->device_id &&
          again->host == made->host && again->endpoints == made->endpoints);
  return 0;
}
