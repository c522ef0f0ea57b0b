// test/support/router_to.h
// A router for rigs whose origins listen on loopback ports.
#pragma once

#include <string>
#include <vector>

#include "common/check.h"
#include "proxy/router.h"

namespace weir::test {

// Upstreams "o1", "o2" and so on. All but the first have weight 0: streams only when nobody else can.
inline Router router_to(Protocol protocol, const std::vector<std::uint16_t>& ports) {
  Router router;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    Upstream upstream;
    upstream.id = "o" + std::to_string(i + 1);
    upstream.weight = i == 0 ? 1 : 0;
    upstream.at(protocol).push_back({"127.0.0.1", ports[i]});
    INVARIANT(router.configure(std::move(upstream)));
  }
  return router;
}

}  // namespace weir::test
