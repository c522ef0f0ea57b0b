#include "proxy/registration.h"

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace weir {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

std::unexpected<Error> wrong(std::string_view field, std::string_view why) {
  return fail(Errc::Protocol, fmt::format("field {}: {}", field, why));
}

std::unexpected<Error> beyond(std::string_view field, std::string_view why) {
  return fail(Errc::Limit, fmt::format("field {}: {}", field, why));
}

// These texts go to logs, labels and routes: no control bytes.
bool printable(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

Result<std::string> checked(std::string_view field, std::string text) {
  if (text.size() > kMaxRegistrationText)
    return beyond(field, fmt::format("longer than {} bytes", kMaxRegistrationText));
  if (!printable(text)) return wrong(field, "control bytes in a text");
  return text;
}

enum class Need { Required, Optional };

Result<std::string> text_of(const Object& body, const std::string& field, Need need) {
  const Var value = body.get(field);
  if (value.isEmpty()) {
    if (need == Need::Required) return wrong(field, "missing");
    return std::string{};
  }
  if (!value.isString()) return wrong(field, "must be a string");
  auto text = checked(field, value.extract<std::string>());
  if (text && text->empty() && need == Need::Required) return wrong(field, "empty");
  return text;
}

// SRS sends a string; a number is what everybody else would.
Result<std::string> pid_of(const Object& body) {
  const Var value = body.get("pid");
  if (!value.isEmpty() && value.isInteger() && !value.isBoolean())
    return value.convert<std::string>();
  return text_of(body, "pid", Need::Required);
}

// Without brackets and in its shortest form. The wildcard address fails: it leads nowhere.
Result<std::string> host_of(const Object& body) {
  const auto text = text_of(body, "ip", Need::Required);
  if (!text) return text;
  const bool bare_ipv6 = text->find(':') != std::string::npos && !text->starts_with('[');
  constexpr std::uint16_t kAnyPort = 1;
  auto endpoint = parse_endpoint(bare_ipv6 ? fmt::format("[{}]", *text) : *text, "", kAnyPort);
  if (!endpoint || endpoint->port != kAnyPort || text->find('/') != std::string::npos)
    return wrong("ip", "not an address or host name that leads anywhere");
  return std::move(endpoint->host);
}

Result<Endpoint> endpoint_of(const std::string& field, const Var& value, const std::string& host) {
  if (!value.isString()) return wrong(field, "every endpoint must be a string");
  const auto text = checked(field, value.extract<std::string>());
  if (!text) return std::unexpected(text.error());
  auto endpoint = parse_endpoint(*text, host);
  if (!endpoint) {
    return wrong(field,
                 "not an endpoint (PORT, :PORT, HOST:PORT or tcp://HOST:PORT, ports 1 to 65535)");
  }
  if (endpoint->port == 0) return wrong(field, "an endpoint without a port");
  // Nobody has said whose certificate it would have to show.
  if (endpoint->tls) return wrong(field, "an endpoint over TLS, which has to be configured");
  return endpoint;
}

Result<std::vector<Endpoint>> endpoints_of(const Object& body, const std::string& field,
                                           const std::string& host) {
  const Var value = body.get(field);
  std::vector<Endpoint> endpoints;
  if (value.isEmpty()) return endpoints;
  if (value.isString()) {
    auto only = endpoint_of(field, value, host);
    if (!only) return std::unexpected(only.error());
    endpoints.push_back(std::move(*only));
    return endpoints;
  }
  if (value.type() != typeid(Array::Ptr)) return wrong(field, "must be an array of strings");
  const auto& list = value.extract<Array::Ptr>();
  if (list->size() > kMaxRegistrationEndpoints)
    return beyond(field, fmt::format("more than {} endpoints", kMaxRegistrationEndpoints));
  for (const Var& item : *list) {
    auto endpoint = endpoint_of(field, item, host);
    if (!endpoint) return std::unexpected(endpoint.error());
    endpoints.push_back(std::move(*endpoint));
  }
  return endpoints;
}

// Not an error when it is not there or not as SRS sends it: it only helps.
std::optional<double> load_of(const Object& body) {
  const Object* at = &body;
  for (const char* field : {"summaries", "data", "system"}) {
    if (!at->isObject(field)) return std::nullopt;
    at = at->getObject(field).get();
  }
  const Var load = at->get("cpu_percent");
  if (load.isEmpty() || load.isBoolean() || !load.isNumeric()) return std::nullopt;
  const auto share = load.convert<double>();
  return share >= 0 && share <= 1 ? std::optional(share) : std::nullopt;
}

// The heartbeat's own word for each protocol: WebRTC is "rtc" there.
constexpr std::pair<const char*, Protocol> kLists[] = {
    {"rtmp", Protocol::Rtmp},  {"http", Protocol::Http}, {"api", Protocol::Api},
    {"rtc", Protocol::Webrtc}, {"srt", Protocol::Srt},   {"rtsp", Protocol::Rtsp}};

Result<Registration> registration_of(const Object& body) {
  Registration made;
  const auto take = [](Result<std::string> from, std::string& to) -> Result<void> {
    if (!from) return std::unexpected(from.error());
    to = std::move(*from);
    return {};
  };
  if (auto ok = take(host_of(body), made.host); !ok) return std::unexpected(ok.error());
  if (auto ok = take(text_of(body, "server", Need::Required), made.server); !ok)
    return std::unexpected(ok.error());
  if (auto ok = take(text_of(body, "service", Need::Required), made.service); !ok)
    return std::unexpected(ok.error());
  if (auto ok = take(pid_of(body), made.pid); !ok) return std::unexpected(ok.error());
  if (auto ok = take(text_of(body, "device_id", Need::Optional), made.device_id); !ok)
    return std::unexpected(ok.error());
  if (auto ok = take(text_of(body, "zone", Need::Optional), made.zone); !ok)
    return std::unexpected(ok.error());
  made.load = load_of(body);

  bool reachable = false;
  for (const auto& [field, protocol] : kLists) {
    auto endpoints = endpoints_of(body, field, made.host);
    if (!endpoints) return std::unexpected(endpoints.error());
    reachable |= !endpoints->empty();
    made.endpoints[static_cast<std::size_t>(protocol)] = std::move(*endpoints);
  }
  if (!reachable) return wrong("rtmp", "no endpoint in rtmp, http, api, srt, rtc or rtsp");
  return made;
}

}  // namespace

Upstream Registration::upstream() const {
  return {.id = server,
          .service = service,
          .pid = pid,
          .device_id = device_id,
          .host = host,
          .zone = zone,
          .endpoints = endpoints,
          .weight = 1,
          .knowledge = Knowledge::Registered};
}

Registration registration_of(const Upstream& upstream) {
  return {.server = upstream.id,
          .service = upstream.service,
          .pid = upstream.pid,
          .device_id = upstream.device_id,
          .host = upstream.host,
          .zone = upstream.zone,
          .endpoints = upstream.endpoints};
}

Result<Registration> parse_registration(std::string_view body) {
  if (body.size() > kMaxRegistrationBody)
    return fail(Errc::Limit, fmt::format("body: more than {} bytes", kMaxRegistrationBody));
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(kMaxRegistrationDepth);
    const Var root = parser.parse(std::string{body});
    if (root.type() != typeid(Object::Ptr)) return fail(Errc::Protocol, "body: not a JSON object");
    return registration_of(*root.extract<Object::Ptr>());
  } catch (const std::exception&) {
    return fail(Errc::Protocol,
                fmt::format("body: not JSON, or nested deeper than {}", kMaxRegistrationDepth));
  }
}

}  // namespace weir
