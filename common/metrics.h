// common/metrics.h
// What Prometheus scrapes: named numbers of the whole process, over prometheus-cpp's registry.
//
// Ways to count, by how often it happens:
//   counter(), gauge(), histogram()  shared by all threads; for what happens per connection
//   tally(), distribution()          plain numbers of one thread; for what happens per packet
//   sample()                         a function asked at the scrape; for what is known anyway
//   collect()                        families made at the scrape, of whatever labels there are then
// A name and labels may have many tallies, distributions and samples, one a loop for example: a
// scrape shows their sum. Labels have few values: never a client or a connection.
//
// Names begin with weir_, end in a base unit (_bytes, _seconds) and, for what only grows, in
// _total; CHECKed.
//
// Threading: everything by any thread, but add() of Tally and Distribution by one. What is returned
// lives as long as Metrics; a Sample ends with its owner, and its function does not run any more once
// its destructor has returned.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/tally.h"

namespace weir {

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;
  enum class Type { Counter, Gauge };

  // Registers the process_* metrics and weir_build_info.
  explicit Metrics(const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same object.
  prometheus::Counter& counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& bounds, const Labels& labels = {});

  // New ones each time, shown as a counter and as a histogram. REQUIRES: a name has one set of
  // bounds, which outlives this.
  Tally& tally(const std::string& name, const std::string& help, const Labels& labels = {});
  Distribution& distribution(const std::string& name, const std::string& help,
                             std::span<const double> bounds, const Labels& labels = {});

  class [[nodiscard]] Sample {
   public:
    Sample() = default;
    Sample(Sample&& other) noexcept;
    Sample& operator=(Sample&& other) noexcept;
    ~Sample();

   private:
    friend class Metrics;
    Sample(Metrics* owner, std::uint64_t id) : owner_(owner), id_(id) {}
    Metrics* owner_ = nullptr;
    std::uint64_t id_ = 0;
  };

  // `value` runs on the scraping thread, must not block and must not call back into Metrics.
  // REQUIRES: Metrics outlives what it returns.
  Sample sample(Type type, const std::string& name, const std::string& help, const Labels& labels,
                std::function<double()> value);

  // `add` runs on the scraping thread, is shown what has been gathered so far and adds to it; it may
  // take its time, which all scrapes then wait for. REQUIRES: as sample().
  using Families = std::vector<prometheus::MetricFamily>;
  Sample collect(std::function<void(Families&)> add);

  // Text format 0.0.4, families by name.
  std::string text() const;

 private:
  struct Source {
    Labels labels;
    std::function<double()> value;
  };
  struct Family {
    Type type;
    std::string help;
    std::map<std::uint64_t, Source> sources;
  };
  struct Spread {
    std::string help;
    std::vector<std::pair<Labels, std::unique_ptr<Distribution>>> parts;
  };

  std::uint64_t add_source(Type type, const std::string& name, const std::string& help,
                           const Labels& labels, std::function<double()> value);
  void remove_source(std::uint64_t id);
  void own_name(const std::string& name, const char* kind);
  void gather(Families& out) const;

  prometheus::Registry registry_;
  mutable std::mutex mutex_;                  // for all below
  std::map<std::string, std::string> kinds_;  // of every name, so that none is used for two
  std::map<std::string, Family> families_;
  std::map<std::string, Spread> spreads_;
  std::vector<std::unique_ptr<Tally>> tallies_;
  std::uint64_t next_id_ = 1;
  mutable std::mutex collecting_;  // held while collectors run; never while mutex_ is
  std::map<std::uint64_t, std::function<void(Families&)>> collectors_;
};

}  // namespace weir
