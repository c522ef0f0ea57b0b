#include "proxy/access/publish_rate.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {
constexpr Clock::time_point kBegin{};
constexpr std::uint64_t kSecond = 125'000;  // bytes of one at 1000 kbit/s
}  // namespace

TEST_CASE("at the limit nobody is too fast, above it for as long as it lasts", "[access]") {
  TooFast rate(0, kBegin);
  CHECK(rate.look(kSecond, kBegin + 1s, 1000) == 0s);
  CHECK(rate.kbps() == 1000);
  CHECK(rate.look(2 * kSecond + 1, kBegin + 2s, 1000) == 1s);
  CHECK(rate.look(4 * kSecond + 2, kBegin + 3s, 1000) == 2s);
  CHECK(rate.look(5 * kSecond + 2, kBegin + 4s, 1000) == 0s);
}

TEST_CASE("what counts is each time between two looks, and not what came before", "[access]") {
  TooFast rate(1'000'000'000, kBegin);
  CHECK(rate.look(1'000'000'000, kBegin + 1s, 1) == 0s);
  TooFast burst(0, kBegin);
  CHECK(burst.look(100 * kSecond, kBegin + 1s, 1000) == 1s);
  CHECK(burst.look(100 * kSecond, kBegin + 2s, 1000) == 0s);
  // A loop that comes late looks at a longer time.
  CHECK(burst.look(104 * kSecond, kBegin + 6s, 1000) == 0s);
}
