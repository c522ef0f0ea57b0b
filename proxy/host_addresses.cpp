#include "proxy/host_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>

namespace weir {

namespace {

bool reaches_out(const ifaddrs& each) {
  if (each.ifa_addr == nullptr || (each.ifa_flags & IFF_UP) == 0 ||
      (each.ifa_flags & IFF_LOOPBACK) != 0)
    return false;
  if (each.ifa_addr->sa_family == AF_INET) return true;
  if (each.ifa_addr->sa_family != AF_INET6) return false;
  return !IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(each.ifa_addr)->sin6_addr);
}

}  // namespace

std::vector<Address> host_addresses() {
  std::vector<Address> addresses;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return addresses;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (!reaches_out(*each)) continue;
    const bool v4 = each->ifa_addr->sa_family == AF_INET;
    addresses.push_back(
        Address::of(each->ifa_addr, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
  }
  freeifaddrs(all);
  return addresses;
}

}  // namespace weir
