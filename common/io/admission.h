// common/io/admission.h
// How many connections there may be, in all and from one address, and who may connect for others. A
// connection holds its ticket for as long as it lives; one that gets none is closed at once.
//
// Threading: any. Bounds: one entry per address that is connected now.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/endpoint.h"
#include "common/io/address.h"
#include "common/io/loop.h"

namespace weir {

// Load balancers, that say whom their connections are for: common/introduction.h.
struct Introductions {
  CidrList from = {};  // empty: nobody introduces anybody
  milliseconds patience{5000};

  bool expected_of(const Address& peer) const {
    return !from.empty() && from.contains(peer.host());
  }
};

class Admission {
 public:
  // 0 means no limit.
  Admission(std::size_t total, std::size_t per_address, Introductions introductions = {})
      : total_limit_(total),
        address_limit_(per_address),
        introductions_(std::move(introductions)) {}

  const Introductions& introductions() const { return introductions_; }

  // From here on; who is here stays, though there be more than that.
  void limit(std::size_t total, std::size_t per_address) {
    const std::lock_guard lock(mutex_);
    total_limit_ = total;
    address_limit_ = per_address;
  }

  // Null when there is no room. REQUIRES: this outlives every ticket.
  std::shared_ptr<void> admit(const Address& peer) {
    std::string host = peer.host();
    const std::lock_guard lock(mutex_);
    auto& here = addresses_[host];
    const bool full = (total_limit_ > 0 && total_ >= total_limit_) ||
                      (address_limit_ > 0 && here >= address_limit_);
    if (full) {
      if (here == 0) addresses_.erase(host);
      ++refused_;
      return nullptr;
    }
    ++total_;
    ++here;
    return std::make_shared<Ticket>(*this, std::move(host));
  }

  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }
  std::size_t refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }

 private:
  struct Ticket {
    Ticket(Admission& owner_, std::string host_) : owner(owner_), host(std::move(host_)) {}
    ~Ticket() { owner.release(host); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    Admission& owner;
    std::string host;
  };

  void release(const std::string& host) {
    const std::lock_guard lock(mutex_);
    --total_;
    auto here = addresses_.find(host);
    if (--here->second == 0) addresses_.erase(here);
  }

  std::size_t total_limit_;
  std::size_t address_limit_;
  const Introductions introductions_;
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> addresses_;
  std::size_t total_ = 0;
  std::size_t refused_ = 0;
};

}  // namespace weir
