#include "common/stream_totals.h"

#include <catch2/catch.hpp>

namespace weir {
namespace {

using namespace std::chrono_literals;

StreamLoad load(std::uint64_t sent, std::size_t viewers = 1) {
  return {.traffic = {.received = 0, .sent = sent}, .viewers = viewers};
}

std::vector<std::string> keys(const std::vector<StreamTotal>& streams) {
  std::vector<std::string> all;
  for (const auto& each : streams) all.push_back(each.key);
  return all;
}

}  // namespace

TEST_CASE("totals grow, and rates are those since the last look", "[stream_totals]") {
  const Clock::time_point begin{1h};
  StreamTotals totals;
  totals.add({{"a", load(500)}}, begin);
  CHECK(totals.all().at("a").total.sent == 500);
  CHECK(totals.all().at("a").sent_per_s == 0);  // nobody knows since when
  totals.add({{"a", load(1000)}}, begin + 2s);
  CHECK(totals.all().at("a").total.sent == 1500);
  CHECK(totals.all().at("a").sent_per_s == 500);
  totals.add({{"a", load(100)}}, begin + 2500ms);  // too early for another rate
  CHECK(totals.all().at("a").sent_per_s == 500);
  totals.add({{"a", load(100)}}, begin + 3s);
  CHECK(totals.all().at("a").sent_per_s == 200);
}

TEST_CASE("the busiest come first, and no more than asked for", "[stream_totals]") {
  const Clock::time_point begin{1h};
  StreamTotals totals;
  totals.add({}, begin);
  totals.add({{"slow", load(10)}, {"fast", load(30)}, {"crowded", load(10, 9)}, {"idle", load(0)}},
             begin + 1s);
  CHECK(keys(totals.busiest(4)) == std::vector<std::string>{"fast", "crowded", "slow", "idle"});
  CHECK(keys(totals.busiest(2)) == std::vector<std::string>{"fast", "crowded"});
  CHECK(totals.busiest(0).empty());
  CHECK(totals.busiest(99).size() == 4);
}

TEST_CASE("a stream without clients is forgotten", "[stream_totals]") {
  const Clock::time_point begin{1h};
  StreamTotals totals;
  totals.add({{"gone", load(10)}, {"left", load(10)}, {"here", load(10)}}, begin);
  totals.add({{"left", load(10, 0)}, {"here", load(10)}}, begin + 1s);
  CHECK(keys(totals.busiest(9)) == std::vector<std::string>{"here"});
}

}  // namespace weir
