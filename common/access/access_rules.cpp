#include "common/access/access_rules.h"

namespace weir {

std::expected<AccessRules::Permission, AccessRefusal> AccessRules::judge(
    const AccessRequest& request, std::int64_t now) const {
  const Role& role = of(request.action);
  if (!role.deny.empty() || role.allow) {
    const std::string host = request.peer.host();
    const bool let_in = !role.deny.contains(host) && (!role.allow || role.allow->contains(host));
    if (!let_in) return refuse(AccessReason::Address, "not from this address");
  }
  switch (role.show) {
    case Show::Nothing: break;
    case Show::Signature: return by_signature(request, now);
    case Show::Token: return by_token(request, now);
    case Show::Either: {
      auto granted = by_signature(request, now);
      if (granted || token_of(request).empty()) return granted;
      return by_token(request, now);
    }
  }
  return Permission{.names = request.names};
}

std::string_view AccessRules::token_of(const AccessRequest& request) const {
  const auto bearer = bearer_token(request.authorization);
  return bearer.empty() ? access_argument(request.query, token_argument) : bearer;
}

std::expected<AccessRules::Permission, AccessRefusal> AccessRules::by_signature(
    const AccessRequest& request, std::int64_t now) const {
  auto found = verify_signed_url(secrets, request.action, request.names, request.query, now);
  if (!found) return std::unexpected(found.error());
  return Permission{.names = {std::move(found->name)}, .expires = found->expires};
}

std::expected<AccessRules::Permission, AccessRefusal> AccessRules::by_token(
    const AccessRequest& request, std::int64_t now) const {
  const auto text = token_of(request);
  if (text.empty()) return refuse(AccessReason::NoToken, "no token");
  if (keys == nullptr) return refuse(AccessReason::BadToken, "no keys for tokens");
  const auto claims = verify_token(text, *keys, token, now);
  if (!claims) return std::unexpected(claims.error());
  if (!claims->allows(request.action))
    return refuse(AccessReason::OtherStream, "the token is not for this action");
  Permission granted{.names = {}, .expires = claims->expires};
  for (const std::string& name : request.names)
    if (claims->covers(name)) granted.names.push_back(name);
  if (granted.names.empty())
    return refuse(AccessReason::OtherStream, "the token is for other streams");
  return granted;
}

}  // namespace weir
