// proxy/stream_report.h
// What a node knows of one stream that it holds itself, as the control API shows it.
//
// Threading: values. Bounds: those of their makers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/io/timer.h"
#include "common/rate_meter.h"

namespace weir {

struct VideoReport {
  std::string codec{};    // "h264"
  std::string profile{};  // "High"; empty when unknown
  std::string level{};    // "3.1"
  int width = 0;          // 0 when unknown
  int height = 0;
};

struct AudioReport {
  std::string codec{};    // "aac"
  std::string profile{};  // "LC"; empty when unknown
  int sample_rate = 0;    // 0 when unknown
  int channels = 0;
};

struct StreamReport {
  std::string key{};
  std::string source{};    // "publisher", "upstream", or "none" as yet
  std::string upstream{};  // the id of the one it is pulled from, if it is
  milliseconds age{0};
  std::uint64_t frames = 0;  // pictures
  Traffic traffic{};         // received alone
  TrafficRate rate{};
  std::optional<VideoReport> video{};
  std::optional<AudioReport> audio{};
};

}  // namespace weir
