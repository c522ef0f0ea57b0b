// proxy/system_pages.h
// What the system API answers: request in, answer out, without sockets.
//
//   POST /api/v1/srs/register   a heartbeat, when `registered` is given and the sender is allowed
//   GET  /metrics               Prometheus text
//   GET  /healthz  /readyz      200, or 503 with the reasons
//        /api/v1/...            control_pages.h
//   GET  /console/              console_files.h
//
// It knows no loops and no routes: all it tells comes from Handlers.
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
#include "proxy/console_files.h"
#include "proxy/control_pages.h"
#include "proxy/registration.h"
#include "proxy/system_access.h"

namespace weir {

class SystemPages {
 public:
  // One that is not given is answered with 404, but for `unwell` and `not_ready`: then all is well.
  struct Handlers {
    // Denied becomes 403, Protocol 400, everything else 503.
    std::function<Result<void>(const Registration&)> registered{};
    std::function<std::string()> metrics{};
    std::function<std::vector<std::string>()> unwell{};     // reasons for /healthz to say 503
    std::function<std::vector<std::string>()> not_ready{};  // reasons for /readyz to say 503
    ControlHandlers control{};
    std::function<SystemAnswer(const SystemRequest&)> console{};
  };

  using Identity = NodeIdentity;
  using Request = SystemRequest;

  // Called once at most, when the request deserves it. The error is what to answer instead.
  using BodyReader = std::function<std::expected<std::string, SystemAnswer>()>;

  // Who may register, and the token of the control API; empty: none.
  SystemPages(Identity identity, CidrList allow, Handlers handlers, std::string token = {});

  // Throws what a handler throws.
  SystemAnswer answer(const Request& request, const BodyReader& read_body) const;

 private:
  std::function<SystemAnswer()> page_at(std::string_view path) const;
  SystemAnswer register_origin(const Request& request, const BodyReader& read_body) const;

  const Identity identity_;
  const CidrList allow_;
  const SystemAccess access_;
  const Handlers handlers_;
  const ControlPages control_;
};

}  // namespace weir
