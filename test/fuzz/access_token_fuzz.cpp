// A token is verified: nothing that is not signed is taken, and what is signed is taken only with
// claims that say for what, also when the claims are any bytes.
#include "common/check.h"
#include "test/support/tokens.h"

#include "common/access/token.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key = test::TokenKey::secret(std::string(32, 'f'), "k");
  static const KeySet keys = test::key_set(key);
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Who does not know the secret gets nowhere.
  INVARIANT(!verify_token(text, keys, {}, 1000), text);
  const auto claims = verify_token(key.token(text), keys, {}, 1000);
  if (claims) {
    INVARIANT(claims->expires > 1000 && !claims->patterns.empty());
    INVARIANT(claims->patterns.size() <= TokenClaims::kMaxPatterns);
    static_cast<void>(claims->covers("/live/cam"));
  }
  const auto set = KeySet::parse(text);
  if (set) INVARIANT(set->size() > 0 && set->size() <= KeySet::kMaxKeys);
  const auto bytes = base64url_decode(text);
  if (bytes) INVARIANT(base64url_encode(*bytes) == text, text);
  return 0;
}
