// proxy/state_keeper.h
// Keeps a StateFile up to date with a Router, on a thread of its own.
//
//     Routing's loop ── changes, once a second ──► waiting (the newest of each) ──► thread: one transaction
//
// A process that is killed loses the last second. The disk may be slow, full, bad or gone: the loop
// never waits, and after the first error the file is removed, for what is old would mislead the next
// run; a warning, and the proxy goes on with its memory alone.
//
// Threading: save() by any thread; the constructor and the destructor by the owner, which wait for
// the disk. Bounds: kMaxWaiting changes; past them the file is given up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "proxy/state_file.h"

namespace weir {

class StateKeeper {
 public:
  static constexpr std::size_t kMaxWaiting = 200'000;

  StateKeeper(std::string folder, Metrics& metrics, std::uint64_t size = StateFile::kSize);
  // Writes what waits.
  ~StateKeeper();
  StateKeeper(const StateKeeper&) = delete;
  StateKeeper& operator=(const StateKeeper&) = delete;

  // What the last run left. Once.
  SavedState take_restored() { return std::exchange(restored_, {}); }

  // False: there is nothing any more that could be kept up to date.
  bool keeps() const { return keeps_; }
  void save(std::vector<SavedChange> changes);

 private:
  using Waiting = std::map<std::pair<SavedKind, std::string>, SavedChange>;

  void run();
  void give_up(const Error& why);

  const std::string folder_;
  std::unique_ptr<StateFile> file_;  // the thread's, once that runs
  SavedState restored_;
  std::atomic<bool> keeps_{false};
  std::mutex mutex_;  // for the next two
  Waiting waiting_;
  bool ending_ = false;
  std::condition_variable wake_;
  std::thread thread_;
  Metrics::Sample shown_;
};

}  // namespace weir
