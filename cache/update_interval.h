// cache/update_interval.h
// How often a playlist or manifest changes, as its own text says.
//
// Threading: pure function. Bounds: those of the parsers.
#pragma once

#include "cache/http_policy.h"

namespace weir {

struct UpdateInterval {
  bool unchanging = false;               // it leads to other playlists, or its stream has ended
  std::optional<milliseconds> interval;  // the target duration, or minimumUpdatePeriod if not 0
};

// Nothing when `text` is no playlist or manifest that is understood, such as a compressed one.
std::optional<UpdateInterval> update_interval(HttpKind kind, std::string_view text);

}  // namespace weir
