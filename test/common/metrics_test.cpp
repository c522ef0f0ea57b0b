#include "common/metrics.h"

#include <array>
#include <map>
#include <set>
#include <sstream>
#include <catch2/catch.hpp>

namespace weir {
namespace {

// The exposition by line, checked as the format demands: every sample follows a HELP and a TYPE of
// its family.
std::map<std::string, double> parsed(const std::string& text) {
  std::map<std::string, double> samples;
  std::set<std::string> helped, typed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    std::istringstream words(line);
    std::string hash, kind, name;
    if (line.starts_with("#")) {
      words >> hash >> kind >> name;
      CHECK((kind == "HELP" ? helped : typed).insert(name).second);
      continue;
    }
    const auto space = line.rfind(' ');
    REQUIRE(space != std::string::npos);
    std::string family = line.substr(0, line.find_first_of("{ "));
    for (const std::string suffix : {"_bucket", "_sum", "_count"})
      if (!typed.contains(family) && family.ends_with(suffix))
        family.erase(family.size() - suffix.size());
    CHECK(helped.contains(family));
    CHECK(typed.contains(family));
    CHECK(samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second);
  }
  return samples;
}

}  // namespace

TEST_CASE("counters, gauges and histograms show what they counted", "[metrics]") {
  Metrics metrics("1.2.3");
  metrics.counter("weir_joins_total", "Viewers that joined.", {{"protocol", "rtmp"}}).Increment(2);
  metrics.counter("weir_joins_total", "Viewers that joined.", {{"protocol", "rtmp"}}).Increment();
  metrics.counter("weir_joins_total", "Viewers that joined.", {{"protocol", "flv"}}).Increment();
  metrics.gauge("weir_viewers", "Viewers now.").Set(7);
  metrics.histogram("weir_join_seconds", "Time to the first keyframe.", {0.1, 1}).Observe(0.5);

  const auto samples = parsed(metrics.text());
  CHECK(samples.at("weir_joins_total{protocol=\"rtmp\"}") == 3);
  CHECK(samples.at("weir_joins_total{protocol=\"flv\"}") == 1);
  CHECK(samples.at("weir_viewers") == 7);
  CHECK(samples.at("weir_join_seconds_bucket{le=\"0.1\"}") == 0);
  CHECK(samples.at("weir_join_seconds_bucket{le=\"1\"}") == 1);
  CHECK(samples.at("weir_join_seconds_count") == 1);
  CHECK(samples.at("weir_build_info{version=\"1.2.3\"}") == 1);
}

TEST_CASE("help and type lines tell what a family is", "[metrics]") {
  Metrics metrics("1");
  metrics.tally("weir_sent_bytes_total", "Bytes to viewers.");
  const auto text = metrics.text();
  CHECK(text.find("# HELP weir_sent_bytes_total Bytes to viewers.\n# TYPE weir_sent_bytes_total "
                  "counter\n") != std::string::npos);
  CHECK(text.find("# TYPE process_cpu_seconds_total counter\n") != std::string::npos);
  CHECK(text.find("# TYPE process_open_fds gauge\n") != std::string::npos);
}

TEST_CASE("tallies of a name and labels are summed at the scrape", "[metrics]") {
  Metrics metrics("1");
  auto& first = metrics.tally("weir_sent_bytes_total", "Bytes.", {{"protocol", "rtmp"}});
  auto& second = metrics.tally("weir_sent_bytes_total", "Bytes.", {{"protocol", "rtmp"}});
  auto& other = metrics.tally("weir_sent_bytes_total", "Bytes.", {{"protocol", "flv"}});
  first.add(10);
  second.add(5);
  other.add();
  CHECK(&first != &second);
  const auto samples = parsed(metrics.text());
  CHECK(samples.at("weir_sent_bytes_total{protocol=\"rtmp\"}") == 15);
  CHECK(samples.at("weir_sent_bytes_total{protocol=\"flv\"}") == 1);
}

TEST_CASE("a sample is asked at the scrape and ends with its owner", "[metrics]") {
  Metrics metrics("1");
  double load = 0.25;
  {
    auto sample = metrics.sample(Metrics::Type::Gauge, "weir_loop_utilisation", "Busy share.",
                                 {{"loop", "0"}}, [&load] { return load; });
    const auto moved = std::move(sample);
    CHECK(parsed(metrics.text()).at("weir_loop_utilisation{loop=\"0\"}") == 0.25);
    load = 0.5;
    CHECK(parsed(metrics.text()).at("weir_loop_utilisation{loop=\"0\"}") == 0.5);
  }
  CHECK(metrics.text().find("weir_loop_utilisation") == std::string::npos);
}

TEST_CASE("distributions of a name and labels are summed at the scrape", "[metrics]") {
  Metrics metrics("1");
  static constexpr std::array kBounds{0.1, 1.0};
  auto& first = metrics.distribution("weir_wait_seconds", "Waits.", kBounds, {{"loop", "a"}});
  auto& second = metrics.distribution("weir_wait_seconds", "Waits.", kBounds, {{"loop", "a"}});
  first.add(0.1);  // a bucket's bound belongs to it
  first.add(std::chrono::milliseconds{500});
  second.add(7.0);
  const auto samples = parsed(metrics.text());
  CHECK(samples.at("weir_wait_seconds_bucket{loop=\"a\",le=\"0.1\"}") == 1);
  CHECK(samples.at("weir_wait_seconds_bucket{loop=\"a\",le=\"1\"}") == 2);
  CHECK(samples.at("weir_wait_seconds_bucket{loop=\"a\",le=\"+Inf\"}") == 3);
  CHECK(samples.at("weir_wait_seconds_count{loop=\"a\"}") == 3);
  CHECK(samples.at("weir_wait_seconds_sum{loop=\"a\"}") == Approx(7.6));
}

TEST_CASE("a collector sees what there is and adds to it, until its owner ends", "[metrics]") {
  Metrics metrics("1");
  metrics.tally("weir_sent_bytes_total", "Bytes.").add(3);
  {
    const auto collected = metrics.collect([](Metrics::Families& families) {
      double sum = 0;
      for (const auto& family : families)
        if (family.name == "weir_sent_bytes_total") sum += family.metric.at(0).counter.value;
      prometheus::ClientMetric metric;
      metric.gauge.value = sum;
      families.push_back({"srs_bytes", "Bytes.", prometheus::MetricType::Gauge, {metric}});
    });
    CHECK(parsed(metrics.text()).at("srs_bytes") == 3);
  }
  CHECK(metrics.text().find("srs_bytes") == std::string::npos);
}

TEST_CASE("the process is described", "[metrics]") {
  const auto samples = parsed(Metrics("1").text());
  CHECK(samples.at("process_cpu_seconds_total") > 0);
  CHECK(samples.at("process_resident_memory_bytes") > 1e6);
  CHECK(samples.at("process_virtual_memory_bytes") > 1e6);
  CHECK(samples.at("process_open_fds") >= 3);
  CHECK(samples.at("process_max_fds") >= samples.at("process_open_fds"));
  CHECK(samples.at("process_start_time_seconds") > 1.6e9);
}

TEST_CASE("labels with odd characters are escaped", "[metrics]") {
  Metrics metrics("1\"\n");
  CHECK(metrics.text().find("version=\"1\\\"\\n\"") != std::string::npos);
}

}  // namespace weir
