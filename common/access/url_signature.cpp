#include "common/access/url_signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/check.h"

namespace weir {

namespace {

constexpr std::size_t kDigits = 64;     // of an HMAC-SHA256
constexpr std::size_t kMaxExpiry = 12;  // digits: the year 33658

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool same_signature(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string url_signature(std::string_view secret, AccessAction action, std::string_view name,
                          std::int64_t expires) {
  const std::string text = fmt::format("{} {}?expires={}", weir::name(action), name, expires);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  INVARIANT(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes, text.size(),
                 digest.data(), &size) != nullptr);
  return fmt::format("{:02x}", fmt::join(std::span(digest).first(size), ""));
}

std::expected<SignedUrl, AccessRefusal> verify_signed_url(std::span<const std::string> secrets,
                                                          AccessAction action,
                                                          std::span<const std::string> names,
                                                          std::string_view query,
                                                          std::int64_t now) {
  const std::string_view given = access_argument(query, "sig");
  const std::string_view until = access_argument(query, "expires");
  if (given.empty() && until.empty()) return refuse(AccessReason::NoToken, "no signature");
  const auto expires = parse_expiry(until);
  if (!expires || given.size() != kDigits)
    return refuse(AccessReason::BadToken, "not a signature and the time of its end");
  const std::string wanted = lower(given);
  for (const std::string& secret : secrets) {
    for (const std::string& name : names) {
      if (!same_signature(url_signature(secret, action, name, *expires), wanted)) continue;
      if (*expires <= now) return refuse(AccessReason::Expired, "the signature has expired");
      return SignedUrl{name, *expires};
    }
  }
  return refuse(AccessReason::BadToken, "not the signature of this stream, action and time");
}

std::optional<std::int64_t> parse_expiry(std::string_view text) {
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > kMaxExpiry || !digits) return std::nullopt;
  std::int64_t seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds;
}

}  // namespace weir
