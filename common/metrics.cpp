#include "common/metrics.h"

#include <dirent.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/check.h"

namespace weir {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

bool is_good_name(const std::string& name) {
  return name.starts_with("weir_") && !name.ends_with('_') && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string file_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

double open_fds() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -1;  // the folder's own
  while (const dirent* entry = ::readdir(folder))
    if (entry->d_name[0] != '.') ++count;
  ::closedir(folder);
  return count;
}

// Seconds since 1970 at boot. Not from /proc/stat, which a sandbox may hide.
double boot_time() {
  const auto seconds = [](clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME);
}

MetricFamily single(std::string name, std::string help, MetricType type, double value) {
  MetricFamily family{std::move(name), std::move(help), type, {}};
  ClientMetric& metric = family.metric.emplace_back();
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return family;
}

void add_process(std::vector<MetricFamily>& out) {
  // proc(5), /proc/PID/stat: the name in parentheses may hold anything, so fields count from its
  // end; the 22nd field is the start in ticks after boot, the 23rd virtual memory, the 24th
  // resident pages.
  const std::string stat = file_text("/proc/self/stat");
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
  std::string skipped;
  for (int i = 3; i < 22; ++i) fields >> skipped;
  double start_ticks = 0;
  double virtual_bytes = 0;
  double resident_pages = 0;
  fields >> start_ticks >> virtual_bytes >> resident_pages;

  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  static const double boot = boot_time();

  out.push_back(single("process_cpu_seconds_total", "User and system time spent.",
                       MetricType::Counter, seconds(usage.ru_utime) + seconds(usage.ru_stime)));
  out.push_back(single("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
                       resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE))));
  out.push_back(
      single("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge, virtual_bytes));
  out.push_back(
      single("process_open_fds", "Open file descriptors.", MetricType::Gauge, open_fds()));
  out.push_back(single("process_max_fds", "Limit of open file descriptors.", MetricType::Gauge,
                       static_cast<double>(limit.rlim_cur)));
  out.push_back(single("process_start_time_seconds", "Start, in seconds since 1970.",
                       MetricType::Gauge,
                       boot + start_ticks / static_cast<double>(::sysconf(_SC_CLK_TCK))));
}

}  // namespace

Metrics::Metrics(const std::string& version) {
  gauge("weir_build_info", "1, labelled with the version.", {{"version", version}}).Set(1);
}

Metrics::~Metrics() = default;

void Metrics::own_name(const std::string& name, const char* kind) {
  INVARIANT(is_good_name(name), name);
  const bool grows = std::strcmp(kind, "counter") == 0 || std::strcmp(kind, "summed counter") == 0;
  INVARIANT(name.ends_with("_total") == grows, name, kind);
  const std::lock_guard lock(mutex_);
  const auto [known, fresh] = kinds_.emplace(name, kind);
  INVARIANT(fresh || known->second == kind, name, known->second, kind);
}

prometheus::Counter& Metrics::counter(const std::string& name, const std::string& help,
                                      const Labels& labels) {
  own_name(name, "counter");
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Gauge& Metrics::gauge(const std::string& name, const std::string& help,
                                  const Labels& labels) {
  own_name(name, "gauge");
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& bounds, const Labels& labels) {
  own_name(name, "histogram");
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels, bounds);
}

Tally& Metrics::tally(const std::string& name, const std::string& help, const Labels& labels) {
  auto owned = std::make_unique<Tally>();
  Tally& tally = *owned;
  {
    const std::lock_guard lock(mutex_);
    tallies_.push_back(std::move(owned));
  }
  add_source(Type::Counter, name, help, labels,
             [&tally] { return static_cast<double>(tally.value()); });
  return tally;
}

Metrics::Sample Metrics::sample(Type type, const std::string& name, const std::string& help,
                                const Labels& labels, std::function<double()> value) {
  return {this, add_source(type, name, help, labels, std::move(value))};
}

std::uint64_t Metrics::add_source(Type type, const std::string& name, const std::string& help,
                                  const Labels& labels, std::function<double()> value) {
  own_name(name, type == Type::Counter ? "summed counter" : "summed gauge");
  const std::lock_guard lock(mutex_);
  Family& family = families_.try_emplace(name, Family{type, help, {}}).first->second;
  family.sources.emplace(next_id_, Source{labels, std::move(value)});
  return next_id_++;
}

Distribution& Metrics::distribution(const std::string& name, const std::string& help,
                                    std::span<const double> bounds, const Labels& labels) {
  own_name(name, "summed histogram");
  const std::lock_guard lock(mutex_);
  Spread& spread = spreads_.try_emplace(name, Spread{help, {}}).first->second;
  return *spread.parts.emplace_back(labels, std::make_unique<Distribution>(bounds)).second;
}

Metrics::Sample Metrics::collect(std::function<void(Families&)> add) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
  }
  const std::lock_guard lock(collecting_);
  collectors_.emplace(id, std::move(add));
  return {this, id};
}

void Metrics::remove_source(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, family] : families_)
      if (family.sources.erase(id) > 0) return;
  }
  // Not before: a collector may wait for the loop that lets a source go.
  const std::lock_guard lock(collecting_);
  collectors_.erase(id);
}

void Metrics::gather(Families& out) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    std::map<Labels, double> sums;
    for (const auto& [id, source] : family.sources) sums[source.labels] += source.value();
    if (sums.empty()) continue;
    const bool counts = family.type == Type::Counter;
    MetricFamily shown{name, family.help, counts ? MetricType::Counter : MetricType::Gauge, {}};
    for (const auto& [labels, value] : sums) {
      ClientMetric& metric = shown.metric.emplace_back();
      for (const auto& [label, text] : labels) metric.label.push_back({label, text});
      (counts ? metric.counter.value : metric.gauge.value) = value;
    }
    out.push_back(std::move(shown));
  }
  for (const auto& [name, spread] : spreads_) {
    std::map<Labels, ClientMetric::Histogram> sums;
    for (const auto& [labels, part] : spread.parts) part->add_to(sums[labels]);
    MetricFamily shown{name, spread.help, MetricType::Histogram, {}};
    for (auto& [labels, sum] : sums) {
      ClientMetric& metric = shown.metric.emplace_back();
      for (const auto& [label, text] : labels) metric.label.push_back({label, text});
      metric.histogram = std::move(sum);
    }
    out.push_back(std::move(shown));
  }
}

std::string Metrics::text() const {
  auto families = registry_.Collect();
  add_process(families);
  gather(families);
  {
    const std::lock_guard lock(collecting_);
    for (const auto& [id, add] : collectors_) add(families);
  }
  std::ranges::sort(families, {}, &MetricFamily::name);
  return prometheus::TextSerializer().Serialize(families);
}

Metrics::Sample::Sample(Sample&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), id_(other.id_) {}

Metrics::Sample& Metrics::Sample::operator=(Sample&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(id_, other.id_);
  return *this;
}

Metrics::Sample::~Sample() {
  if (owner_ != nullptr) owner_->remove_source(id_);
}

}  // namespace weir
