#include "proxy/upstream_gauges.h"

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

using namespace weir;

namespace {

UpstreamState state(const std::string& id, bool ejected, std::size_t streams) {
  UpstreamState state;
  state.upstream = std::make_shared<const Upstream>(configured(id));
  state.streams = streams;
  if (ejected) state.ejected_for = std::chrono::milliseconds{1};
  return state;
}

bool shows(const Metrics& metrics, const std::string& line) {
  return metrics.text().find(line) != std::string::npos;
}

}  // namespace

TEST_CASE("each upstream is up or not, with its streams", "[upstream_gauges]") {
  Metrics metrics("test");
  UpstreamGauges gauges(metrics);
  gauges.show(std::vector{state("a", false, 3), state("b", true, 0)});
  CHECK(shows(metrics, "weir_upstream_up{upstream=\"a\"} 1"));
  CHECK(shows(metrics, "weir_upstream_up{upstream=\"b\"} 0"));
  CHECK(shows(metrics, "weir_upstream_streams{upstream=\"a\"} 3"));
  auto silent = state("a", false, 0);
  silent.alive = false;
  gauges.show(std::vector{silent});
  CHECK(shows(metrics, "weir_upstream_up{upstream=\"a\"} 0"));
}

TEST_CASE("who is gone is not shown any more", "[upstream_gauges]") {
  Metrics metrics("test");
  UpstreamGauges gauges(metrics);
  gauges.show(std::vector{state("a", false, 0), state("b", false, 0)});
  gauges.show(std::vector{state("b", false, 0)});
  CHECK_FALSE(shows(metrics, "upstream=\"a\""));
  CHECK(shows(metrics, "weir_upstream_up{upstream=\"b\"} 1"));
}
