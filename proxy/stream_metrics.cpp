#include "proxy/stream_metrics.h"

#include <sys/utsname.h>

#include <set>

#include "proxy/control_json.h"

namespace weir {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kBytesPerKilobit = 125;

void put(MetricFamily& family, const std::vector<ClientMetric::Label>& labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = labels;
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

MetricFamily family_of(const char* name, const char* help, MetricType type) {
  return {name, help, type, {}};
}

MetricFamily single(const char* name, const char* help, MetricType type, double value,
                    const std::vector<ClientMetric::Label>& labels = {}) {
  MetricFamily family = family_of(name, help, type);
  put(family, labels, value);
  return family;
}

// Of the counters of that name whose labels include `label`.
double sum_of(const Metrics::Families& families, std::string_view name,
              const ClientMetric::Label& label = {}) {
  double sum = 0;
  for (const MetricFamily& family : families) {
    if (family.name != name) continue;
    for (const ClientMetric& metric : family.metric) {
      if (label.name.empty() || std::ranges::find(metric.label, label) != metric.label.end())
        sum += metric.counter.value;
    }
  }
  return sum;
}

}  // namespace

StreamMetrics::StreamMetrics(Metrics& metrics, SessionDirectory& sessions,
                             ControlView::Streams streams, Options options)
    : sessions_(sessions),
      streams_(std::move(streams)),
      options_(std::move(options)),
      collected_(metrics.collect([this](Metrics::Families& families) {
        look();
        add_streams(families);
        add_srs(families);
      })) {}

void StreamMetrics::look() {
  if (const auto loads = sessions_.take_loads()) totals_.add(*loads, Clock::now());
  if (!streams_) return;
  auto reports = streams_();
  if (!reports) return;
  held_.clear();
  for (StreamReport& report : *reports) held_[report.key] = std::move(report);
}

void StreamMetrics::add_streams(Metrics::Families& out) const {
  auto received = family_of("weir_stream_received_bytes_total",
                            "Bytes received for one of the busiest streams.", MetricType::Counter);
  auto sent =
      family_of("weir_stream_sent_bytes_total",
                "Bytes sent to the viewers of one of the busiest streams.", MetricType::Counter);
  auto viewers =
      family_of("weir_stream_viewers", "Viewers of one of the busiest streams.", MetricType::Gauge);
  auto rate = family_of("weir_stream_media_bytes_per_second",
                        "What one of the busiest streams takes for itself.", MetricType::Gauge);
  std::set<std::string> shown;  // different bytes that are no UTF-8 would make one label of two
  for (const StreamTotal& stream : totals_.busiest(options_.top)) {
    const std::string name = valid_utf8(stream.key);
    if (!shown.insert(name).second) continue;
    const std::vector<ClientMetric::Label> labels{{"stream", name}};
    const auto held = held_.find(stream.key);
    const bool known = held != held_.end();
    const double per_viewer =
        stream.viewers > 0 ? stream.sent_per_s / static_cast<double>(stream.viewers) : 0;
    put(received, labels,
        static_cast<double>(known ? held->second.traffic.received : stream.total.received));
    put(sent, labels, static_cast<double>(stream.total.sent));
    put(viewers, labels, static_cast<double>(stream.viewers));
    put(rate, labels,
        known                   ? held->second.rate.received_kbps * kBytesPerKilobit
        : stream.publishers > 0 ? stream.received_per_s
                                : per_viewer);
  }
  for (MetricFamily* family : {&received, &sent, &viewers, &rate})
    if (!family->metric.empty()) out.push_back(std::move(*family));
}

void StreamMetrics::add_srs(Metrics::Families& out) {
  std::size_t streams = held_.size();
  std::size_t clients = 0;
  for (const auto& [key, stream] : totals_.all()) {
    streams += !held_.contains(key);
    clients += stream.viewers + stream.publishers;
  }
  const double to_clients = sum_of(out, "weir_bytes_sent_total") +
                            sum_of(out, "weir_cache_sent_bytes_total") +
                            sum_of(out, "weir_relayed_bytes_total", {"direction", "down"});
  const double from_clients = sum_of(out, "weir_bytes_received_total") +
                              sum_of(out, "weir_relayed_bytes_total", {"direction", "up"});
  const double begun = sum_of(out, "weir_sessions_total");
  const double failed = sum_of(out, "weir_session_failures_total");

  utsname system{};
  ::uname(&system);
  const NodeIdentity& self = options_.identity;
  const std::string major = self.version.substr(0, self.version.find('.'));
  const auto gauge = MetricType::Gauge;
  const auto counter = MetricType::Counter;
  const MachineState machine = machine_.look();
  out.push_back(single("srs_node_uname_info", "1, labelled with what uname(2) says; as SRS has it.",
                       gauge, 1,
                       {{"sysname", system.sysname},
                        {"nodename", system.nodename},
                        {"release", system.release},
                        {"version", system.version},
                        {"machine", system.machine}}));
  out.push_back(single(
      "srs_build_info",
      "1, labelled with this node: label is its zone, tag its role; as SRS has it.", gauge, 1,
      {{"server", self.server},
       {"service", self.service},
       {"pid", self.pid},
       {"build_date", ""},
       {"major", major},
       {"version", self.version},
       {"code", "weir"},
       {"label", options_.zone},
       {"tag", options_.role}}));
  out.push_back(single("srs_cpu_percent", "Processor time of this process; 100 is a core.", gauge,
                       machine.process.cpu * 100));
  out.push_back(single("srs_memory", "Resident memory of this process, in KiB.", gauge,
                       static_cast<double>(machine.process.memory_kb)));
  out.push_back(single("srs_send_bytes_total", "Bytes sent to clients.", counter, to_clients));
  out.push_back(single("srs_receive_bytes_total", "Bytes received from clients and sources.",
                       counter, from_clients));
  out.push_back(
      single("srs_streams", "Streams that are here.", gauge, static_cast<double>(streams)));
  out.push_back(
      single("srs_clients", "Clients that play or publish.", gauge, static_cast<double>(clients)));
  out.push_back(single("srs_clients_total", "Clients that played or published.", counter, begun));
  out.push_back(
      single("srs_clients_errs_total", "Clients that were refused or failed.", counter, failed));
}

}  // namespace weir
