#include "proxy/srt_cookie.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstring>

#include "common/bytes.h"
#include "common/check.h"

namespace weir {

namespace {

std::int64_t minute_of(Clock::time_point now) {
  return std::chrono::duration_cast<std::chrono::minutes>(now.time_since_epoch()).count();
}

}  // namespace

SrtCookies::SrtCookies() { INVARIANT(RAND_bytes(key_.data(), static_cast<int>(key_.size())) == 1); }

std::uint32_t SrtCookies::of_minute(const Address& caller, std::int64_t minute) const {
  std::array<std::uint8_t, sizeof(sockaddr_in6) + sizeof(minute)> text{};
  std::memcpy(text.data(), caller.raw(), caller.length());
  std::memcpy(text.data() + sizeof(sockaddr_in6), &minute, sizeof(minute));
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), text.data(), text.size(),
       digest.data(), &size);
  const std::uint32_t cookie = load_be32(digest.data());
  return cookie != 0 ? cookie : 1;  // 0 is what a caller without a cookie sends
}

std::uint32_t SrtCookies::make(const Address& caller, Clock::time_point now) const {
  return of_minute(caller, minute_of(now));
}

bool SrtCookies::valid(std::uint32_t cookie, const Address& caller, Clock::time_point now) const {
  const std::int64_t minute = minute_of(now);
  return cookie == of_minute(caller, minute) || cookie == of_minute(caller, minute - 1);
}

}  // namespace weir
