// common/io/admission.h
// How many connections there may be, in all and from one address, and who may connect or ask for
// others. A connection holds its ticket for as long as it lives; one that gets none is closed at once.
//
// A trusted hop brings the requests of many: its connections count in all alone, and each request
// against the address it is for.
//
// Threading: any. Bounds: one entry per address that is connected now.
#pragma once

#include <atomic>
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

// HTTP proxies, that say whose their requests are: common/http/forwarded.h.
struct TrustedHops {
  CidrList from = {};           // empty: nobody is one
  bool forwarded = true;        // they write Forwarded
  bool x_forwarded_for = true;  // they write X-Forwarded-For
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

  // From here on.
  void trust(TrustedHops hops) {
    auto next = hops.from.empty() ? nullptr : std::make_shared<const TrustedHops>(std::move(hops));
    const std::lock_guard lock(mutex_);
    hops_.swap(next);
    any_hops_ = hops_ != nullptr;
  }
  // Null when nobody is one.
  std::shared_ptr<const TrustedHops> hops() const {
    if (!any_hops_) return nullptr;
    const std::lock_guard lock(mutex_);
    return hops_;
  }

  // Null when there is no room. REQUIRES: this outlives every ticket.
  std::shared_ptr<void> admit(const Address& peer) {
    std::string host = peer.host();
    const auto trusted = hops();
    if (trusted && trusted->from.contains(host)) return enter("", true);
    return enter(std::move(host), true);
  }
  // For as long as a trusted hop's connection serves this address.
  std::shared_ptr<void> admit_behind_hop(const Address& client) {
    return enter(client.host(), false);
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
    Ticket(Admission& owner_, std::string host_, bool connection_)
        : owner(owner_), host(std::move(host_)), connection(connection_) {}
    ~Ticket() { owner.leave(*this); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    Admission& owner;
    std::string host;  // empty: counts against nobody's limit
    bool connection;   // counts in all
  };

  std::shared_ptr<void> enter(std::string host, bool connection) {
    const std::lock_guard lock(mutex_);
    const auto here = addresses_.find(host);
    const bool full =
        (connection && total_limit_ > 0 && total_ >= total_limit_) ||
        (address_limit_ > 0 && here != addresses_.end() && here->second >= address_limit_);
    if (full) {
      ++refused_;
      return nullptr;
    }
    if (connection) ++total_;
    if (!host.empty()) ++addresses_[host];
    return std::make_shared<Ticket>(*this, std::move(host), connection);
  }

  void leave(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (ticket.connection) --total_;
    if (ticket.host.empty()) return;
    auto here = addresses_.find(ticket.host);
    if (--here->second == 0) addresses_.erase(here);
  }

  std::size_t total_limit_;
  std::size_t address_limit_;
  const Introductions introductions_;
  mutable std::mutex mutex_;
  std::atomic<bool> any_hops_{false};
  std::shared_ptr<const TrustedHops> hops_;
  std::map<std::string, std::size_t> addresses_;
  std::size_t total_ = 0;
  std::size_t refused_ = 0;
};

}  // namespace weir
