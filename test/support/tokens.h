// test/support/tokens.h
// Keys and signed tokens as an issuer makes them.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <spdlog/fmt/fmt.h>

#include <memory>
#include <string>

#include "common/access/key_set.h"
#include "common/check.h"

namespace weir::test {

inline std::string base64(std::string_view text) { return base64url_encode(as_bytes(text)); }

class TokenKey {
 public:
  static TokenKey secret(std::string bytes, std::string kid) {
    TokenKey key("HS256", std::move(kid));
    key.secret_ = std::move(bytes);
    return key;
  }
  static TokenKey rsa(std::string kid, unsigned bits = 2048) {
    TokenKey key("RS256", std::move(kid));
    key.pkey_.reset(EVP_RSA_gen(bits), EVP_PKEY_free);
    return key;
  }
  static TokenKey elliptic(std::string kid) {
    TokenKey key("ES256", std::move(kid));
    key.pkey_.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
    return key;
  }

  // As in a key set.
  std::string jwk() const {
    if (alg_ == "HS256")
      return fmt::format(R"({{"kty":"oct","kid":"{}","k":"{}"}})", kid_, base64(secret_));
    if (alg_ == "RS256")
      return fmt::format(R"({{"kty":"RSA","kid":"{}","n":"{}","e":"{}"}})", kid_,
                         number(OSSL_PKEY_PARAM_RSA_N), number(OSSL_PKEY_PARAM_RSA_E));
    return fmt::format(R"({{"kty":"EC","kid":"{}","crv":"P-256","x":"{}","y":"{}"}})", kid_,
                       number(OSSL_PKEY_PARAM_EC_PUB_X, 32), number(OSSL_PKEY_PARAM_EC_PUB_Y, 32));
  }

  std::string token(const std::string& claims) const {
    return token_with(fmt::format(R"({{"alg":"{}","kid":"{}"}})", alg_, kid_), claims);
  }
  std::string token_with(const std::string& head, const std::string& claims) const {
    const std::string text = base64(head) + "." + base64(claims);
    return text + "." + base64(sign(text));
  }

 private:
  TokenKey(std::string alg, std::string kid) : alg_(std::move(alg)), kid_(std::move(kid)) {}

  std::string number(const char* which, int size = 0) const {
    BIGNUM* value = nullptr;
    INVARIANT(EVP_PKEY_get_bn_param(pkey_.get(), which, &value) == 1);
    std::string bytes(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(bytes.size()));
    BN_free(value);
    return base64(bytes);
  }

  std::string sign(const std::string& text) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (!pkey_) {
      unsigned char digest[EVP_MAX_MD_SIZE];
      unsigned size = 0;
      HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes, text.size(),
           digest, &size);
      return {digest, digest + size};
    }
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t size = 512;
    std::string signature(size, '\0');
    auto* out = reinterpret_cast<unsigned char*>(signature.data());
    INVARIANT(EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, pkey_.get()) == 1);
    INVARIANT(EVP_DigestSign(context, out, &size, bytes, text.size()) == 1);
    EVP_MD_CTX_free(context);
    signature.resize(size);
    return alg_ == "ES256" ? side_by_side(signature) : signature;
  }

  static std::string side_by_side(const std::string& der) {
    const auto* from = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &from, static_cast<long>(der.size()));
    std::string both(64, '\0');
    auto* out = reinterpret_cast<unsigned char*>(both.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32);
    ECDSA_SIG_free(pair);
    return both;
  }

  std::string alg_;
  std::string kid_;
  std::string secret_;
  std::shared_ptr<EVP_PKEY> pkey_;
};

template <class... Keys>
KeySet key_set(const Keys&... keys) {
  std::string list;
  ((list += (list.empty() ? "" : ",") + keys.jwk()), ...);
  auto set = KeySet::parse(R"({"keys":[)" + list + "]}");
  INVARIANT(set, set.error().text);
  return std::move(*set);
}

}  // namespace weir::test
