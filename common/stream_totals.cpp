#include "common/stream_totals.h"

#include <algorithm>
#include <tuple>

namespace weir {

void StreamTotals::add(const StreamLoads& loads, Clock::time_point now) {
  for (const auto& [key, load] : loads) {
    StreamTotal& stream = all_[key];
    stream.key = key;
    stream.total += load.traffic;
    stream.viewers = load.viewers;
    stream.publishers = load.publishers;
    lately_[key] += load.traffic;
  }
  std::erase_if(all_, [&loads](const auto& entry) {
    const auto found = loads.find(entry.first);
    return found == loads.end() || found->second.viewers + found->second.publishers == 0;
  });
  const bool first = since_ == Clock::time_point{};
  if (!first && now - since_ < kLeastPeriod) return;
  const double seconds = std::chrono::duration<double>(now - since_).count();
  for (auto& [key, stream] : all_) {
    const Traffic moved = first ? Traffic{} : lately_[key];
    stream.received_per_s = static_cast<double>(moved.received) / seconds;
    stream.sent_per_s = static_cast<double>(moved.sent) / seconds;
  }
  lately_.clear();
  since_ = now;
}

std::vector<StreamTotal> StreamTotals::busiest(std::size_t most) const {
  std::vector<StreamTotal> streams;
  for (const auto& [key, stream] : all_) streams.push_back(stream);
  const auto rank = [](const StreamTotal& stream) {
    return std::tuple(-(stream.received_per_s + stream.sent_per_s),
                      -static_cast<std::int64_t>(stream.viewers), std::string_view(stream.key));
  };
  const auto end = streams.begin() + static_cast<std::ptrdiff_t>(std::min(most, streams.size()));
  std::ranges::partial_sort(streams, end, {}, rank);
  streams.erase(end, streams.end());
  return streams;
}

}  // namespace weir
