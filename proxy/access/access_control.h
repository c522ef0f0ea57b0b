// proxy/access/access_control.h
// Access for all loops of a process: made once, given new rules whenever the configuration or the
// file of token keys changes.
//
// The file is looked at by a thread of its own every kLook, for a disk may be slow; a file that cannot
// be read or understood leaves the last good keys in use, and the log says so.
//
// Threading: main's thread, and whoever reloads; not a loop's. Bounds: one thread while there is a
// file; the last words take as long as their patience.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "common/io/loop_group.h"
#include "proxy/access/access.h"

namespace weir {

struct AccessSettings {
  AccessOptions options{};
  std::string key_file{};  // of tokens; empty: none
};

class AccessControl {
 public:
  static constexpr milliseconds kLook{1000};

  // REQUIRES: the loops run, and outlive this; all grants have ended before it goes.
  AccessControl(LoopGroup& loops, AccessSettings settings, Metrics& metrics);
  ~AccessControl();
  AccessControl(const AccessControl&) = delete;
  AccessControl& operator=(const AccessControl&) = delete;

  // From now on, for who comes new.
  void apply(AccessSettings settings);
  // Tells callbacks of those who were cut off by the process's end. REQUIRES: sessions have ended.
  void say_last_words(milliseconds patience);

 private:
  void watch(const std::stop_token& stopped);
  void spread(AccessOptions options);

  LoopGroup& loops_;
  SharedAccess shared_;
  std::vector<std::unique_ptr<Access>> per_loop_;
  std::mutex mutex_;  // for both below
  AccessSettings settings_;
  std::condition_variable_any changed_;
  std::jthread watcher_;
};

// The keys of a file. Errors: System, and KeySet::parse().
Result<std::shared_ptr<const KeySet>> read_keys(const std::string& file);

}  // namespace weir
