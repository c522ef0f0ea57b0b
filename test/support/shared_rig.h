// test/support/shared_rig.h
// Nodes that share a Redis, on one loop or several: what each was told, and stores to ask directly.
#pragma once

#include "proxy/shared_state.h"
#include "test/support/quiet_log.h"
#include "test/support/redis_server.h"

namespace weir::test {

// What a node was told, and what it says is in use.
class ToldView final : public SharedView {
 public:
  std::vector<SharedRoute> live_routes() override { return live; }
  void route_told(const SharedRoute& route) override { routes[route.stream] = route; }
  void route_gone(const std::string& stream) override { routes.erase(stream); }
  void member_told(SharedKind, const Registration& member, milliseconds age) override {
    members[member.server] = {member, age};
    ++tellings;
  }
  void member_gone(SharedKind, const std::string& id) override { members.erase(id); }

  std::string upstream_of(const std::string& stream) const {
    const auto found = routes.find(stream);
    return found == routes.end() ? "" : found->second.upstream;
  }

  std::vector<SharedRoute> live;
  std::map<std::string, SharedRoute> routes;
  std::map<std::string, SharedStore::Member> members;
  int tellings = 0;
};

inline Registration member_named(const std::string& id, const std::string& service = "s1") {
  auto member = parse_registration(R"({"ip":"10.0.0.5","server":")" + id + R"(","service":")" +
                                   service + R"(","pid":"1","rtmp":["1935"]})");
  INVARIANT(member);
  return std::move(*member);
}

// A node; it ends with the loop's waits.
struct Node {
  Node(Resolver& resolver, SharedStateOptions options)
      : state(resolver, std::move(options), view, metrics) {
    resolver.loop().spawn(state.run());
  }
  Metrics metrics{"test"};
  ToldView view;
  SharedState state;
};

}  // namespace weir::test
