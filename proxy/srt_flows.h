// proxy/srt_flows.h
// Which session a client's packet belongs to: by the address it came from and the socket id it is
// for. The id alone would not do: origins choose them by themselves, and two may choose the same.
// Nor would the address: one client may hold many connections from one port.
//
// Threading: one loop's. Bounds: its sessions'.
#pragma once

#include <unordered_map>

#include "common/io/udp_peer.h"

namespace weir {

class SrtSession;

struct SrtKey {
  Address address;
  std::uint32_t socket = 0;

  friend bool operator==(const SrtKey& a, const SrtKey& b) {
    return a.socket == b.socket && same_address(a.address, b.address);
  }
};

struct SrtKeyHash {
  std::size_t operator()(const SrtKey& key) const {
    return AddressHash()(key.address) ^ (key.socket * 0x9e3779b97f4a7c15);
  }
};

class SrtFlows {
 public:
  // Null when there is none.
  SrtSession* find(const SrtKey& key) {
    if (last_ != nullptr && key == last_key_) return last_;  // packets come in runs
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return nullptr;
    last_key_ = key;
    return last_ = found->second;
  }
  // False when the key is taken.
  bool add(const SrtKey& key, SrtSession& session) {
    return sessions_.emplace(key, &session).second;
  }
  void remove(const SrtKey& key) {
    sessions_.erase(key);
    last_ = nullptr;
  }
  std::size_t size() const { return sessions_.size(); }

 private:
  std::unordered_map<SrtKey, SrtSession*, SrtKeyHash> sessions_;
  SrtKey last_key_;
  SrtSession* last_ = nullptr;
};

}  // namespace weir
