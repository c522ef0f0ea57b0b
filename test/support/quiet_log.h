// test/support/quiet_log.h
// No log lines while it lives: for tests of what weir warns of. Made before other threads, gone after them.
#pragma once

#include "common/log.h"

namespace weir::test {

class QuietLog {
 public:
  QuietLog() { log::init(log::Level::Off, log::Format::Text); }
  ~QuietLog() { log::init(log::Level::Info, log::Format::Text); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
};

}  // namespace weir::test
