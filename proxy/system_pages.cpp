#include "proxy/system_pages.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

namespace weir {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

std::string text_of(const Object& object) {
  std::ostringstream text;
  object.stringify(text);
  return text.str();
}

Answer ok(const Object& object) { return {.status = 200, .body = text_of(object)}; }

int status_of(Errc code) {
  switch (code) {
    case Errc::Protocol: return 400;
    case Errc::Denied: return 403;
    default: return 503;
  }
}

void set_identity(Object& object, const SystemPages::Identity& identity) {
  object.set("code", 0);
  object.set("server", identity.server);
  object.set("service", identity.service);
  object.set("pid", identity.pid);
}

Answer versions(const SystemPages::Identity& identity) {
  int numbers[3] = {};
  std::istringstream parts{identity.version};
  char dot = 0;
  parts >> numbers[0] >> dot >> numbers[1] >> dot >> numbers[2];
  Object::Ptr data = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  data->set("major", numbers[0]);
  data->set("minor", numbers[1]);
  data->set("revision", numbers[2]);
  data->set("version", identity.version);
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  set_identity(object, identity);
  object.set("data", data);
  return ok(object);
}

Object::Ptr shown(const UpstreamState& state) {
  const Upstream& upstream = *state.upstream;
  Object::Ptr object = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  object->set("id", upstream.id);
  object->set("service", upstream.service);
  object->set("pid", upstream.pid);
  object->set("device_id", upstream.device_id);
  object->set("host", upstream.host);
  object->set("zone", upstream.zone);
  object->set("configured", upstream.knowledge == Knowledge::Configured);
  object->set("weight", upstream.weight);
  object->set("alive", state.alive);
  object->set("drained", state.drained);
  object->set("probes", std::string{name(state.probes)});
  object->set("ejected", state.ejected());
  object->set("ejected_ms", state.ejected_for ? state.ejected_for->count() : 0);
  object->set("routes", state.routes);
  object->set("streams", state.streams);
  object->set("failures", state.failures);
  object->set("ejections", state.ejections);
  for (std::size_t i = 0; i < kProtocolCount; ++i) {
    const auto protocol = static_cast<Protocol>(i);
    Array::Ptr endpoints = new Array;
    for (const Endpoint& endpoint : upstream.at(protocol)) endpoints->add(to_string(endpoint));
    object->set(std::string{name(protocol)}, endpoints);
  }
  return object;
}

Answer upstreams(const SystemPages::Identity& identity, const std::vector<UpstreamState>& states) {
  Array::Ptr list = new Array;
  for (const UpstreamState& state : states) list->add(shown(state));
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  set_identity(object, identity);
  object.set("upstreams", list);
  return ok(object);
}

Answer well(const std::function<std::vector<std::string>()>& ask) {
  const auto reasons = ask ? ask() : std::vector<std::string>{};
  if (!reasons.empty()) return refusal(503, fmt::format("{}", fmt::join(reasons, "; ")));
  return {.status = 200, .body = R"({"code":0})"};
}

Answer wrong_method(std::string allow) {
  Answer answer = refusal(405, fmt::format("only {} here", allow));
  answer.allow = std::move(allow);
  return answer;
}

}  // namespace

Answer refusal(int status, const std::string& why) {
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  object.set("code", status);
  object.set("error", why);
  return {.status = status, .body = text_of(object)};
}

SystemPages::SystemPages(Identity identity, CidrList allow, Handlers handlers)
    : identity_(std::move(identity)), allow_(std::move(allow)), handlers_(std::move(handlers)) {}

Answer SystemPages::answer(const Request& request, const BodyReader& read_body) const {
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path == "/api/v1/srs/register" && handlers_.registered) {
    if (request.method != "POST") return wrong_method("POST");
    return register_origin(request, read_body);
  }
  const auto page = page_at(path);
  if (!page) return refusal(404, "no such resource");
  if (request.method != "GET" && request.method != "HEAD") return wrong_method("GET, HEAD");
  return page();
}

std::function<Answer()> SystemPages::page_at(std::string_view path) const {
  if (path == "/api/v1/versions") return [this] { return versions(identity_); };
  if (path == "/api/v1/upstreams" && handlers_.upstreams)
    return [this] { return upstreams(identity_, handlers_.upstreams()); };
  if (path == "/metrics" && handlers_.metrics) {
    return [this] {
      return Answer{.status = 200,
                    .body = handlers_.metrics(),
                    .type = "text/plain; version=0.0.4; charset=utf-8"};
    };
  }
  if (path == "/healthz") return [this] { return well(handlers_.unwell); };
  if (path == "/readyz") return [this] { return well(handlers_.not_ready); };
  return {};
}

Answer SystemPages::register_origin(const Request& request, const BodyReader& read_body) const {
  if (!allow_.contains(request.sender))
    return refusal(403, fmt::format("{} may not register: system.allow", request.sender));
  const auto body = read_body();
  if (!body) return body.error();
  const auto registration = parse_registration(*body);
  if (!registration) return refusal(400, registration.error().text);
  if (const auto taken = handlers_.registered(*registration); !taken)
    return refusal(status_of(taken.error().code), taken.error().text);
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  object.set("code", 0);
  object.set("pid", identity_.pid);
  return ok(object);
}

}  // namespace weir
