#include "proxy/access/verdicts.h"

#include <catch2/catch.hpp>

#include "test/support/loopback.h"
#include "test/support/on_a_loop.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr Clock::time_point kNow = Clock::time_point() + 1h;
constexpr int kParts = 16;

Task<Verdicts::Answer> answer(std::optional<AccessRefusal> refusal) {
  co_return Verdicts::Answer{.refusal = std::move(refusal)};
}

Task<void> a_full_table_asks_each_time(Loop& loop) {
  Verdicts verdicts;
  for (std::size_t i = 0; i < 2 * Verdicts::kMax; ++i)
    verdicts.allow(std::to_string(i), nullptr, loop.now() + 1h);
  CHECK(verdicts.size() == Verdicts::kMax);
  int asked = 0;
  const Verdicts::Ask ask = [&asked] {
    ++asked;
    return answer(std::nullopt);
  };
  for (int i = 0; i < 3; ++i) {
    const auto said = co_await verdicts.settle("one too many", 1h, ask);
    CHECK_FALSE(said.refusal);
  }
  CHECK(asked == 3);
  CHECK(verdicts.size() == Verdicts::kMax);
  CHECK_FALSE(verdicts.allows("one too many", loop.now()));
  verdicts.clear();
  for (int i = 0; i < 3; ++i) {
    const auto said = co_await verdicts.settle("one too many", 1h, ask);
    CHECK_FALSE(said.refusal);
  }
  CHECK(asked == 4);
}

Task<void> a_no_is_no_yes(Loop& loop) {
  Verdicts verdicts;
  const AccessRefusal no{AccessReason::Upstream, "no"};
  const Verdicts::Ask ask = [&no] { return answer(no); };
  const auto said = co_await verdicts.settle("a", 1h, ask);
  CHECK(said.refusal);
  CHECK_FALSE(verdicts.allows("a", loop.now()));
  for (int i = 0; i < kParts; ++i) verdicts.sweep(loop.now() + Verdicts::kRefused - 1ms);
  CHECK(verdicts.size() == 1);
  for (int i = 0; i < kParts; ++i) verdicts.sweep(loop.now() + Verdicts::kRefused);
  CHECK(verdicts.size() == 0);
}

}  // namespace

TEST_CASE("a yes holds until its time and no longer", "[access]") {
  Verdicts verdicts;
  verdicts.allow("a", nullptr, kNow + 10s);
  CHECK(verdicts.allows("a", kNow + 10s - 1ns));
  CHECK_FALSE(verdicts.allows("a", kNow + 10s));
  CHECK_FALSE(verdicts.allows("b", kNow));
  CHECK(verdicts.allows("a", kNow, 20s));
  CHECK(verdicts.allows("a", kNow + 20s - 1ns));
  CHECK_FALSE(verdicts.allows("a", kNow + 20s));
}

TEST_CASE("what is held goes with its verdict, or when another takes its place", "[access]") {
  Verdicts verdicts;
  const auto first = std::make_shared<int>(1), second = std::make_shared<int>(2);
  verdicts.allow("a", first, kNow);
  CHECK(first.use_count() == 2);
  verdicts.allow("a", second, kNow);
  CHECK(first.use_count() == 1);
  for (int i = 0; i < kParts; ++i) verdicts.sweep(kNow - 1ns);
  CHECK(second.use_count() == 2);
  for (int i = 0; i < kParts; ++i) verdicts.sweep(kNow);
  CHECK(second.use_count() == 1);
  verdicts.allow("a", first, kNow + 1h);
  verdicts.clear();
  CHECK(first.use_count() == 1);
}

TEST_CASE("so many verdicts are kept, and who comes after is asked about each time", "[access]") {
  on_a_loop(a_full_table_asks_each_time);
}

TEST_CASE("a no is forgotten soon and never passes for a yes", "[access]") {
  on_a_loop(a_no_is_no_yes);
}
