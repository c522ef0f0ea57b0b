// test/support/quiet_log.h
// No log lines while it lives: for tests of what weir warns of.
#pragma once

#include <spdlog/spdlog.h>

namespace weir::test {

class QuietLog {
 public:
  QuietLog() : before_(spdlog::get_level()) { spdlog::set_level(spdlog::level::off); }
  ~QuietLog() { spdlog::set_level(before_); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  spdlog::level::level_enum before_;
};

}  // namespace weir::test
