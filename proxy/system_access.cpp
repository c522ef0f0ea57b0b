#include "proxy/system_access.h"

#include <algorithm>

namespace weir {
namespace {

constexpr std::string_view kScheme = "bearer ";

bool same_letters(char a, char b) { return (a | 0x20) == (b | 0x20); }

std::string_view bearer_of(std::string_view authorization) {
  const auto scheme = authorization.substr(0, kScheme.size());
  if (!std::ranges::equal(scheme, kScheme, same_letters)) return {};
  auto token = authorization.substr(kScheme.size());
  while (token.starts_with(' ')) token.remove_prefix(1);
  return token;
}

// The host of "host:port", "[::1]:port" or of either alone.
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('['))
    return authority.substr(1, std::max<std::size_t>(authority.find(']'), 1) - 1);
  return authority.substr(0, authority.find(':'));
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  return difference == 0;
}

SystemAccess::SystemAccess(std::string token)
    : token_(std::move(token)), loopback_(*CidrList::parse("loopback")) {}

std::optional<SystemAnswer> SystemAccess::refuses(const SystemRequest& request,
                                                  bool changes) const {
  if (!token_.empty()) {
    if (equal_in_constant_time(bearer_of(request.authorization), token_)) return std::nullopt;
    SystemAnswer answer = refusal(401, "api.token: the bearer token is missing or wrong");
    answer.authenticate = R"(Bearer realm="weir")";
    return answer;
  }
  if (!changes) return std::nullopt;
  if (!loopback_.contains(request.sender))
    return refusal(403, "without api.token only this machine may change anything");
  const auto host = host_of(request.host);
  if (!request.host.empty() && host != "localhost" && !loopback_.contains(host))
    return refusal(403, "without api.token this is changed at a loopback address only");
  const auto scheme = request.origin.find("://");
  const auto site =
      scheme == request.origin.npos ? request.origin : request.origin.substr(scheme + 3);
  if (!request.origin.empty() && site != request.host)
    return refusal(403, "without api.token no page of another site may change anything");
  return std::nullopt;
}

}  // namespace weir
