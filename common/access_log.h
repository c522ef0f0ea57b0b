// common/access_log.h
// Where lines about clients that have gone are kept: a file that logrotate may move away, or standard
// output. What the lines say is SessionRecorder's business.
//
// Loops must not wait for a disk, so lines are gathered in memory and written by a thread of its own,
// a few milliseconds later and many at once.
//
// Threading: everything by any thread. Bounds: `most_waiting` bytes wait; lines beyond that, and lines
// that the disk does not take, are dropped and counted in weir_access_log_dropped_total.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "common/metrics.h"

namespace weir {

class AccessLog {
 public:
  struct Options {
    std::string path;      // "-" is standard output
    bool requests = true;  // lines about single HTTP requests, too
    std::size_t most_waiting = 8 * 1024 * 1024;
  };

  // Throws ConfigError when the file cannot be opened. Signals stay as they are in this thread: block
  // them before.
  AccessLog(Options options, Metrics& metrics);
  // Writes what waits.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  bool wants_requests() const { return options_.requests; }

  // `line` without its end. Never waits for the disk.
  void write(std::string_view line);
  // Opens the path anew, once what waits has gone to the old file. When it cannot be opened the old
  // one stays.
  void reopen();

 private:
  void run();
  void put(const std::string& lines);
  void drop(std::string_view lines);
  int open_file() const;

  const Options options_;
  prometheus::Counter& lines_;
  prometheus::Counter& dropped_;
  int fd_ = -1;  // the thread's

  std::mutex mutex_;  // for all below
  std::condition_variable news_;
  std::string waiting_;
  bool reopen_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace weir
