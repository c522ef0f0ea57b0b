// common/io/tls_tickets.h
// The keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1): a client that comes back
// shows its ticket and is spared the certificates, on whatever loop it lands. Nothing is kept here
// for it.
//
// A key seals for kPeriod and is known for kKept periods more, so whoever steals one reads hours,
// not years. Certificates may be read again meanwhile: tickets stay good.
//
// Threading: any. Bounds: kKept + 1 keys.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>

struct ssl_ctx_st;

namespace weir {

class TicketKeys {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::hours kPeriod{6};
  static constexpr std::size_t kKept = 2;

  explicit TicketKeys(std::function<Clock::time_point()> now = Clock::now) : now_(std::move(now)) {}

  struct Key {
    std::array<unsigned char, 16> name;  // in the ticket, in clear
    std::array<unsigned char, 32> seal;  // AES-256-CBC, HMAC-SHA256
    std::array<unsigned char, 32> sign;
    Clock::time_point born;
  };
  // The one to seal with.
  Key newest();
  // The one of that name; `renew` when it is not the newest. False: unknown.
  bool find(const unsigned char* name, Key& key, bool& renew);

  // Makes the sessions of `context` use these, which outlive it.
  void serve(ssl_ctx_st* context);

 private:
  void rotate();

  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  std::deque<Key> keys_;  // the newest first
};

}  // namespace weir
