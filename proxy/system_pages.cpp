#include "proxy/system_pages.h"

#include <Poco/JSON/Object.h>
#include <spdlog/fmt/fmt.h>

#include <utility>

namespace weir {
namespace {

SystemAnswer well(const std::function<std::vector<std::string>()>& ask) {
  const auto reasons = ask ? ask() : std::vector<std::string>{};
  if (!reasons.empty()) return refusal(503, fmt::format("{}", fmt::join(reasons, "; ")));
  return {.status = 200, .body = R"({"code":0})"};
}

}  // namespace

SystemPages::SystemPages(Identity identity, CidrList allow, Handlers handlers, std::string token)
    : identity_(std::move(identity)),
      allow_(std::move(allow)),
      access_(std::move(token)),
      handlers_(std::move(handlers)),
      control_(identity_, handlers_.control) {}

SystemAnswer SystemPages::answer(const Request& request, const BodyReader& read_body) const {
  const auto path = request.target.substr(0, request.target.find('?'));
  if (path == "/api/v1/srs/register" && handlers_.registered) {
    if (request.method != "POST") return wrong_method("POST");
    return register_origin(request, read_body);
  }
  if (path.starts_with("/api/")) {
    auto refused = access_.refuses(request, ControlPages::changes(request));
    return refused ? *refused : control_.answer(request);
  }
  if (handlers_.console && ConsoleFiles::owns(path)) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    return reads ? handlers_.console(request) : wrong_method("GET, HEAD");
  }
  const auto page = page_at(path);
  if (!page) return refusal(404, "no such resource");
  if (request.method != "GET" && request.method != "HEAD") return wrong_method("GET, HEAD");
  return page();
}

std::function<SystemAnswer()> SystemPages::page_at(std::string_view path) const {
  if (path == "/metrics" && handlers_.metrics) {
    return [this] {
      return SystemAnswer{.status = 200,
                          .body = handlers_.metrics(),
                          .type = "text/plain; version=0.0.4; charset=utf-8"};
    };
  }
  if (path == "/healthz") return [this] { return well(handlers_.unwell); };
  if (path == "/readyz") return [this] { return well(handlers_.not_ready); };
  return {};
}

SystemAnswer SystemPages::register_origin(const Request& request,
                                          const BodyReader& read_body) const {
  if (!allow_.contains(request.sender))
    return refusal(403, fmt::format("{} may not register: system.allow", request.sender));
  const auto body = read_body();
  if (!body) return body.error();
  const auto registration = parse_registration(*body);
  if (!registration) return refusal(400, registration.error().text);
  if (const auto taken = handlers_.registered(*registration); !taken) return refusal(taken.error());
  Poco::JSON::Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  object.set("code", 0);
  object.set("pid", identity_.pid);
  return ok(object);
}

}  // namespace weir
