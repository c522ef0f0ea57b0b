// proxy/control_call.h
// A request to the control API, taken apart.
//
// Threading: values. Bounds: kMaxArguments arguments; texts as long as the request's target, which the
// server bounds.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/system_answer.h"

namespace weir {

struct ControlCall {
  static constexpr std::string_view kRoot = "/api/v1";
  static constexpr std::size_t kMaxArguments = 32;

  std::string method{};
  std::vector<std::string> path{};  // behind kRoot, decoded
  std::map<std::string, std::string, std::less<>> arguments{};

  // Errors: NotFound outside of kRoot, Protocol.
  static Result<ControlCall> of(const SystemRequest& request);

  bool reads() const { return method == "GET" || method == "HEAD"; }
  bool cluster() const { return text("scope") == "cluster"; }

  bool has(std::string_view name) const { return arguments.contains(name); }
  const std::string& text(std::string_view name) const;  // empty when it is not given
  // Errors: Protocol when it is no number from 0 to `most`.
  Result<std::size_t> number(std::string_view name, std::size_t fallback, std::size_t most) const;
};

}  // namespace weir
