#include "proxy/upstream_gauges.h"

namespace weir {

void UpstreamGauges::show(std::span<const UpstreamState> states) {
  for (auto& [id, series] : series_) series->seen = false;
  for (const UpstreamState& state : states) {
    auto& series = series_[state.upstream->id];
    if (!series) {
      series = std::make_unique<Series>();
      const Metrics::Labels labels{{"upstream", state.upstream->id}};
      series->show_up = metrics_.sample(Metrics::Type::Gauge, "weir_upstream_up",
                                        "1 while an upstream is alive and in use, else 0.", labels,
                                        [&up = series->up] { return up.load(); });
      series->show_streams = metrics_.sample(
          Metrics::Type::Gauge, "weir_upstream_streams", "Streams with a live session there.",
          labels, [&streams = series->streams] { return streams.load(); });
    }
    series->seen = true;
    series->up = state.alive && !state.ejected() ? 1 : 0;
    series->streams = static_cast<double>(state.streams);
  }
  std::erase_if(series_, [](const auto& item) { return !item.second->seen; });
}

}  // namespace weir
