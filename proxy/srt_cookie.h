// proxy/srt_cookie.h
// The cookies that an SRT listener gives to callers: whoever brings one back receives at the address
// that he writes from. They are computed, not remembered, so that a flood of handshakes from forged
// addresses fills nothing.
//
// A cookie is a keyed hash of the address and the minute, good in that minute and the next. The key
// is made by random when a process starts, unless it takes the place of another: a caller may have
// its cookie from that one.
//
// Threading: any.
#pragma once

#include <array>
#include <cstdint>

#include "common/io/address.h"
#include "common/io/timer.h"

namespace weir {

class SrtCookies {
 public:
  using Key = std::array<std::uint8_t, 32>;

  SrtCookies();
  explicit SrtCookies(const Key& key) : key_(key) {}
  const Key& key() const { return key_; }

  std::uint32_t make(const Address& caller, Clock::time_point now) const;
  bool valid(std::uint32_t cookie, const Address& caller, Clock::time_point now) const;

 private:
  std::uint32_t of_minute(const Address& caller, std::int64_t minute) const;

  Key key_;
};

}  // namespace weir
