// proxy/system_access.h
// Who may ask the system API for what.
//
//     health, metrics, registration     everybody (registration has system.allow)
//     /api/ with api.token set          who sends it: Authorization: Bearer TOKEN
//     reading without a token           everybody who reaches the listener
//     changing without a token          this machine alone, and no web page of another site
//
// The last rule is for browsers: a page that somebody here looks at may send requests to 127.0.0.1,
// or to a name that was made to lead there.
//
// Threading: constant after construction. Bounds: none of its own.
#pragma once

#include <optional>
#include <string>

#include "common/endpoint.h"
#include "proxy/system_answer.h"

namespace weir {

class SystemAccess {
 public:
  explicit SystemAccess(std::string token);

  // What to answer instead; nothing: it may go on.
  std::optional<SystemAnswer> refuses(const SystemRequest& request, bool changes) const;

 private:
  const std::string token_;
  const CidrList loopback_;
};

// Takes as long for any two texts of the same sizes, so that the time tells nothing about the text.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace weir
