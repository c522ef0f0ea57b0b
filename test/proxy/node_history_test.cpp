#include "proxy/node_history.h"

#include <Poco/JSON/Array.h>

#include <catch2/catch.hpp>

namespace weir {

TEST_CASE("history is columns, oldest first", "[node_history]") {
  NodeHistory history;
  history.add(1000, {.loops = {0.25, 0.75123}, .viewers = 3, .rate = {10.4, 20.6}});
  history.add(2000, {.viewers = 4});
  const auto json = history.json();
  CHECK(json->getValue<int>("period_ms") == 10'000);
  CHECK(json->getArray("at")->getElement<int>(0) == 1000);
  CHECK(json->getArray("viewers")->getElement<int>(1) == 4);
  CHECK(json->getArray("recv_kbps")->getElement<int>(0) == 10);
  CHECK(json->getArray("send_kbps")->getElement<int>(0) == 21);
  CHECK(json->getArray("loop")->getElement<double>(0) == Approx(0.751));
  CHECK(json->getArray("loop")->getElement<double>(1) == 0);
}

TEST_CASE("history keeps an hour and no more", "[node_history]") {
  NodeHistory history;
  for (std::size_t i = 0; i <= NodeHistory::kSamples; ++i)
    history.add(static_cast<std::int64_t>(i), {});
  const auto at = history.json()->getArray("at");
  CHECK(at->size() == NodeHistory::kSamples);
  CHECK(at->getElement<int>(0) == 1);
}

}  // namespace weir
