#include "common/io/packet_pass.h"

#include <catch2/catch.hpp>

#include "test/support/loopback.h"
#include "test/support/on_a_loop.h"

using namespace weir;
using namespace weir::test;

namespace {

struct Passed {
  PacketPass::Port port;
  UdpPeer from;
  ByteBuffer packet;
};

Task<void> pass_some(Loop& loop) {
  const auto ends = PacketPass::open();
  std::vector<Passed> passed;
  PacketPass newer(loop, ends->first, nullptr);
  auto older = std::make_unique<PacketPass>(
      loop, ends->second,
      [&](PacketPass::Port port, const UdpPeer& from, std::span<std::uint8_t> packet) {
        passed.push_back({port, from, {packet.begin(), packet.end()}});
      });
  UdpPeer four{*Address::parse("192.0.2.1", 4000), in6addr_loopback};
  UdpPeer six{*Address::parse("2001:db8::1", 65535), {}};
  const ByteBuffer small{1};
  const ByteBuffer large(1500, 7);
  CHECK(newer.pass(PacketPass::Port::Webrtc, four, small));
  CHECK(newer.pass(PacketPass::Port::Srt, six, large));
  const bool both = co_await comes_true(loop, [&] { return passed.size() >= 2; });
  REQUIRE(both);
  CHECK(passed[0].port == PacketPass::Port::Webrtc);
  CHECK(same_address(passed[0].from.address, four.address));
  CHECK(std::memcmp(&passed[0].from.local, &four.local, sizeof four.local) == 0);
  CHECK(passed[0].packet == small);
  CHECK(passed[1].port == PacketPass::Port::Srt);
  CHECK(same_address(passed[1].from.address, six.address));
  CHECK(passed[1].packet == large);

  older.reset();
  CHECK_FALSE(newer.pass(PacketPass::Port::Srt, six, small));
  co_await sleep(loop, milliseconds{1});
  CHECK_FALSE(newer.pass(PacketPass::Port::Srt, six, small));
}

}  // namespace

TEST_CASE("a packet is passed on with who sent it, and not to who has gone", "[packet_pass]") {
  on_a_loop(pass_some);
}
