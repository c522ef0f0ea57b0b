// common/metrics.h
// What Prometheus scrapes: named numbers of the whole process, over prometheus-cpp's registry.
//
// Three ways to count, by how often it happens:
//   counter(), gauge(), histogram()  atomics shared by all threads; for what happens per connection
//   tally()                          a plain number of one thread; for what happens per packet
//   sample()                         a function asked at the scrape; for what is known anyway
// A name and labels may have many tallies and samples, one a loop for example: a scrape shows their
// sum. Labels have few values: never a stream, a client or a connection.
//
// Names begin with weir_, end in a base unit (_bytes, _seconds) and, for what only grows, in
// _total; CHECKed.
//
// Threading: everything by any thread, but Tally::add() by one. What is returned lives as long as
// Metrics; a Sample ends with its owner, and its function does not run any more once its destructor
// has returned.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weir {

class Tally {
 public:
  // One writer, so this is a plain addition.
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<std::uint64_t> value_{0};  // loops do not share cache lines
};

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

  // A new one each time, shown as a counter.
  Tally& tally(const std::string& name, const std::string& help, const Labels& labels = {});

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

  std::uint64_t add_source(Type type, const std::string& name, const std::string& help,
                           const Labels& labels, std::function<double()> value);
  void remove_source(std::uint64_t id);
  void own_name(const std::string& name, const char* kind);

  prometheus::Registry registry_;
  mutable std::mutex mutex_;                  // for all below
  std::map<std::string, std::string> kinds_;  // of every name, so that none is used for two
  std::map<std::string, Family> families_;
  std::vector<std::unique_ptr<Tally>> tallies_;
  std::uint64_t next_id_ = 1;
};

}  // namespace weir
