// edge/wall_clock.h
// The time of day, as dates in HTTP messages are written. For them alone: everything that is
// measured here is measured by the loops' clock, which nobody sets back.
//
// Threading: any thread.
#pragma once

#include "common/wire/http1_date.h"

namespace weir {

inline http::Date wall_clock() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace weir
