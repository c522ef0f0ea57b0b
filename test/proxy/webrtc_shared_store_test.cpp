#include "proxy/webrtc_shared_store.h"

#include <catch2/catch.hpp>

#include "test/support/loop_fixture.h"

using namespace weir;

namespace {

struct Nobody final : SharedView {
  std::vector<SharedRoute> live_routes() override { return {}; }
  void route_told(const SharedRoute&) override {}
  void route_gone(const std::string&) override {}
  void member_told(SharedKind, const Registration&, milliseconds) override {}
  void member_gone(SharedKind, const std::string&) override {}
};

}  // namespace

TEST_CASE("without Redis a session is not shared, and nobody waits", "[webrtc]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    Nobody view;
    Metrics metrics("1.0.0");
    SharedState state(resolver, {}, view, metrics);
    SharedWebrtcStore store(on, state);
    auto put = co_await store.put("webrtc:a:b", "value", milliseconds(1000));
    CHECK_FALSE(put);
    auto got = co_await store.get("webrtc:a:b");
    CHECK_FALSE(got);
    auto removed = co_await store.remove("webrtc:a:b");
    CHECK_FALSE(removed);
  };
  test::run(loop, body(loop));
}
