#include "proxy/control_call.h"

#include <Poco/URI.h>
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <optional>

namespace weir {
namespace {

std::optional<std::string> decoded(std::string_view text) {
  try {
    std::string plain;
    Poco::URI::decode(std::string(text), plain);
    return plain;
  } catch (const Poco::Exception&) {
    return std::nullopt;
  }
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<ControlCall> ControlCall::of(const SystemRequest& request) {
  const auto mark = request.target.find('?');
  std::string_view path = request.target.substr(0, mark);
  if (!path.starts_with(kRoot)) return fail(Errc::NotFound, "no such resource");
  path.remove_prefix(kRoot.size());
  if (!path.empty() && path.front() != '/') return fail(Errc::NotFound, "no such resource");
  while (path.ends_with('/')) path.remove_suffix(1);

  ControlCall call{.method = std::string(request.method)};
  if (!path.empty()) {
    for (const auto part : split(path.substr(1), '/')) {
      auto plain = decoded(part);
      if (!plain) return fail(Errc::Protocol, "path: not percent-encoded");
      call.path.push_back(std::move(*plain));
    }
  }
  if (mark == request.target.npos) return call;
  for (const auto argument : split(request.target.substr(mark + 1), '&')) {
    const auto equals = argument.find('=');
    auto key = decoded(argument.substr(0, equals));
    auto value = decoded(equals == argument.npos ? "" : argument.substr(equals + 1));
    if (!key || !value) return fail(Errc::Protocol, "query: not percent-encoded");
    if (call.arguments.size() >= kMaxArguments)
      return fail(Errc::Protocol, fmt::format("query: more than {} arguments", kMaxArguments));
    call.arguments[std::move(*key)] = std::move(*value);
  }
  return call;
}

const std::string& ControlCall::text(std::string_view name) const {
  static const std::string nothing;
  const auto found = arguments.find(name);
  return found == arguments.end() ? nothing : found->second;
}

Result<std::size_t> ControlCall::number(std::string_view name, std::size_t fallback,
                                        std::size_t most) const {
  if (!has(name)) return fallback;
  const std::string& digits = text(name);
  std::size_t number = 0;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (bad != std::errc{} || end != digits.data() + digits.size() || number > most)
    return fail(Errc::Protocol, fmt::format("{}: a number from 0 to {}", name, most));
  return number;
}

}  // namespace weir
