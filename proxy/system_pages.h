// proxy/system_pages.h
// What the system API answers: request in, answer out, without sockets.
//
//   POST /api/v1/srs/register   a heartbeat, when `registered` is given and the sender is allowed
//   GET  /api/v1/versions       in SRS's shape
//   GET  /api/v1/upstreams      who is known, in use, ejected
//   GET  /metrics               Prometheus text
//   GET  /healthz  /readyz      200, or 503 with the reasons
//
// It knows no loops and no routes: all it tells comes from Handlers. Every refusal is JSON,
// {"code":STATUS,"error":TEXT}.
//
// Threading: constant after construction; any thread may ask, several at once, so Handlers must
// bear that.
// Bounds: reads one body of kMaxRegistrationBody at most, and only of who may register.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "common/error.h"
#include "proxy/registration.h"
#include "proxy/upstream.h"

namespace weir {

struct Answer {
  int status = 200;
  std::string body{};
  std::string type = "application/json";
  std::string allow{};  // the methods, when status is 405
};

Answer refusal(int status, const std::string& why);

class SystemPages {
 public:
  // One that is not given is answered with 404, but for `unwell` and `not_ready`: then all is well.
  struct Handlers {
    // Denied becomes 403, Protocol 400, everything else 503.
    std::function<Result<void>(const Registration&)> registered{};
    std::function<std::vector<UpstreamState>()> upstreams{};
    std::function<std::string()> metrics{};
    std::function<std::vector<std::string>()> unwell{};     // reasons for /healthz to say 503
    std::function<std::vector<std::string>()> not_ready{};  // reasons for /readyz to say 503
  };

  // Who we are, as SRS would say it. `version` is MAJOR.MINOR.REVISION.
  struct Identity {
    std::string server;
    std::string service;
    std::string pid;
    std::string version;
  };

  struct Request {
    std::string_view method;
    std::string_view target;  // path and query
    std::string sender;       // address without port
  };

  // Called once at most, when the request deserves it. The error is what to answer instead.
  using BodyReader = std::function<std::expected<std::string, Answer>()>;

  SystemPages(Identity identity, CidrList allow, Handlers handlers);

  // Throws what a handler throws.
  Answer answer(const Request& request, const BodyReader& read_body) const;

 private:
  std::function<Answer()> page_at(std::string_view path) const;
  Answer register_origin(const Request& request, const BodyReader& read_body) const;

  const Identity identity_;
  const CidrList allow_;
  const Handlers handlers_;
};

}  // namespace weir
