// common/access/access_rules.h
// Who may, as far as it can be told without asking anybody: by the address, and by a signature or a
// token that is shown.
//
//     denied address ─► no     address not among the allowed ─► no     what must be shown ─► no, or
//     for which of the request's names, and until when
//
// Threading: immutable, shared by all loops. Bounds: url_signature.h's and token.h's.
#pragma once

#include <memory>
#include <optional>

#include "common/access/key_set.h"
#include "common/access/token.h"
#include "common/access/url_signature.h"
#include "common/endpoint.h"

namespace weir {

struct AccessRules {
  enum class Show : std::uint8_t { Nothing, Signature, Token, Either };

  struct Role {
    std::optional<CidrList> allow{};  // nothing: everybody
    CidrList deny{};
    Show show = Show::Nothing;

    bool restricts() const { return allow || !deny.empty() || show != Show::Nothing; }
  };

  // What a request is granted.
  struct Permission {
    std::vector<std::string> names;         // those of the request that it holds for
    std::optional<std::int64_t> expires{};  // seconds since 1970
  };

  Role play{};
  Role publish{};
  std::vector<std::string> secrets{};    // of signatures, the newest first
  std::shared_ptr<const KeySet> keys{};  // of tokens; null: none
  TokenRules token{};
  std::string token_argument = "token";

  const Role& of(AccessAction action) const {
    return action == AccessAction::Publish ? publish : play;
  }
  std::expected<Permission, AccessRefusal> judge(const AccessRequest& request,
                                                 std::int64_t now) const;

 private:
  std::string_view token_of(const AccessRequest& request) const;
  std::expected<Permission, AccessRefusal> by_signature(const AccessRequest& request,
                                                        std::int64_t now) const;
  std::expected<Permission, AccessRefusal> by_token(const AccessRequest& request,
                                                    std::int64_t now) const;
};

}  // namespace weir
