#include "common/access/key_set.h"

#include <Poco/JSON/Array.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <spdlog/fmt/fmt.h>

#include <exception>
#include <optional>

#include "common/json_object.h"

namespace weir {

namespace {

using Algorithm = KeySet::Algorithm;
using Poco::JSON::Object;

constexpr std::size_t kLeastSecret = 32;  // RFC 7518 3.2: as long as the digest
constexpr int kLeastRsaBits = 2048;       // RFC 7518 3.3
constexpr std::size_t kCoordinate = 32;   // of P-256
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* value) const { Free(value); }
};
using Bignum = std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>>;
using ParamBuild = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM, OSSL_PARAM_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX, EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG, ECDSA_SIG_free>>;

Bignum number_of(ByteView bytes) {
  return Bignum(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

std::shared_ptr<EVP_PKEY> key_from(const char* kind, OSSL_PARAM_BLD* build) {
  const Params params(OSSL_PARAM_BLD_to_param(build));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  const bool made = params && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1;
  if (!made) return nullptr;
  return {key, EVP_PKEY_free};
}

std::shared_ptr<EVP_PKEY> rsa_key(ByteView modulus, ByteView exponent) {
  const ParamBuild build(OSSL_PARAM_BLD_new());
  const Bignum n = number_of(modulus), e = number_of(exponent);
  const bool filled = build && n && e &&
                      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1;
  return filled ? key_from("RSA", build.get()) : nullptr;
}

std::shared_ptr<EVP_PKEY> ec_key(ByteView x, ByteView y) {
  if (x.size() != kCoordinate || y.size() != kCoordinate) return nullptr;
  ByteBuffer point{0x04};  // SEC 1 2.3.3: uncompressed
  append(point, x);
  append(point, y);
  const ParamBuild build(OSSL_PARAM_BLD_new());
  const bool filled = build &&
                      OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                                      "prime256v1", 0) == 1 &&
                      OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                                       point.data(), point.size()) == 1;
  return filled ? key_from("EC", build.get()) : nullptr;
}

bool verifies_hmac(const ByteBuffer& secret, std::string_view text, ByteView signature) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes, text.size(), digest,
           &size) == nullptr)
    return false;
  return signature.size() == size && CRYPTO_memcmp(digest, signature.data(), size) == 0;
}

// RFC 7518 3.4: r and s side by side, which OpenSSL wants in DER.
ByteBuffer der_of(ByteView signature) {
  if (signature.size() != 2 * kCoordinate) return {};
  const EcSignature pair(ECDSA_SIG_new());
  Bignum r = number_of(signature.first(kCoordinate)), s = number_of(signature.last(kCoordinate));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* out = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &out);
  if (size <= 0) return {};
  ByteBuffer der(out, out + size);
  OPENSSL_free(out);
  return der;
}

bool verifies_with(EVP_PKEY* key, std::string_view text, ByteView signature) {
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1)
    return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes, text.size()) ==
         1;
}

}  // namespace

struct KeyReader {
  using Read = Result<std::optional<KeySet::Key>>;

  // Nothing: a key that is not for us.
  static Read read(const Object& jwk) {
    const std::string use = text_in(jwk, "use");
    if (!use.empty() && use != "sig") return std::nullopt;
    const std::string kind = text_in(jwk, "kty");
    const std::string algorithm = text_in(jwk, "alg");
    const auto is_for = [&](const char* one) { return algorithm.empty() || algorithm == one; };
    KeySet::Key key{Algorithm::Hs256, text_in(jwk, "kid"), {}, nullptr};
    if (kind == "oct" && is_for("HS256")) return secret(jwk, std::move(key));
    if (kind == "RSA" && is_for("RS256")) return rsa(jwk, std::move(key));
    if (kind == "EC" && is_for("ES256") && text_in(jwk, "crv") == "P-256")
      return elliptic(jwk, std::move(key));
    return std::nullopt;
  }

 private:
  static Read wrong(const KeySet::Key& key, const char* why) {
    return fail(Errc::Protocol, fmt::format("key '{}': {}", key.kid, why));
  }

  static Read secret(const Object& jwk, KeySet::Key key) {
    auto bytes = base64url_decode(text_in(jwk, "k"));
    if (!bytes || bytes->size() < kLeastSecret)
      return wrong(key, "a secret of at least 32 bytes in base64url is wanted");
    key.secret = std::move(*bytes);
    return key;
  }

  static Read rsa(const Object& jwk, KeySet::Key key) {
    const auto n = base64url_decode(text_in(jwk, "n")), e = base64url_decode(text_in(jwk, "e"));
    key.algorithm = Algorithm::Rs256;
    if (n && e && !n->empty() && !e->empty()) key.pkey = rsa_key(*n, *e);
    if (!key.pkey || EVP_PKEY_get_bits(key.pkey.get()) < kLeastRsaBits)
      return wrong(key, "not an RSA key of at least 2048 bits");
    return key;
  }

  static Read elliptic(const Object& jwk, KeySet::Key key) {
    const auto x = base64url_decode(text_in(jwk, "x")), y = base64url_decode(text_in(jwk, "y"));
    key.algorithm = Algorithm::Es256;
    if (x && y) key.pkey = ec_key(*x, *y);
    if (!key.pkey) return wrong(key, "not a point of P-256");
    return key;
  }
};

Result<KeySet> KeySet::parse(std::string_view text) {
  if (text.size() > kMaxText) return fail(Errc::Limit, "a key set of more than 256 KiB");
  try {
    const auto root = parse_json_object(text);
    if (!root) return std::unexpected(root.error());
    const auto list = (*root)->getArray("keys");
    if (list.isNull()) return fail(Errc::Protocol, "no list \"keys\"");
    if (list->size() > kMaxKeys) return fail(Errc::Limit, "more than 64 keys");
    KeySet set;
    for (unsigned i = 0; i < list->size(); ++i) {
      const auto jwk = list->getObject(i);
      if (jwk.isNull()) return fail(Errc::Protocol, "a key that is not an object");
      auto key = KeyReader::read(*jwk);
      if (!key) return std::unexpected(key.error());
      if (*key) set.keys_.push_back(std::move(**key));
    }
    if (set.keys_.empty()) return fail(Errc::Protocol, "no key for HS256, RS256 or ES256");
    return set;
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "not JSON");
  }
}

bool KeySet::verifies(Algorithm algorithm, std::string_view kid, std::string_view signed_text,
                      ByteView signature) const {
  const ByteBuffer der = algorithm == Algorithm::Es256 ? der_of(signature) : ByteBuffer();
  for (const Key& key : keys_) {
    if (key.algorithm != algorithm || (!kid.empty() && key.kid != kid)) continue;
    const bool good = algorithm == Algorithm::Hs256
                          ? verifies_hmac(key.secret, signed_text, signature)
                      : algorithm == Algorithm::Es256
                          ? !der.empty() && verifies_with(key.pkey.get(), signed_text, der)
                          : verifies_with(key.pkey.get(), signed_text, signature);
    if (good) return true;
  }
  return false;
}

Result<ByteBuffer> base64url_decode(std::string_view text) {
  ByteBuffer out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) return fail(Errc::Protocol, "not base64url");
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<std::uint8_t>(bits >> count));
    bits &= (1U << count) - 1;
  }
  if (count == 6 || bits != 0) return fail(Errc::Protocol, "base64url that ends inside a byte");
  return out;
}

std::string base64url_encode(ByteView bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
    bits &= (1U << count) - 1;
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63];
  return out;
}

}  // namespace weir
