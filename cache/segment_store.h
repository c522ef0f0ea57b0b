// cache/segment_store.h
// The HTTP cache's tier on disk: a thread of its own, which owns the SegmentFile and does what loops
// ask of it.
//
//     loop ── get, put, erase ──► queue ──► thread: gets at once, changes gathered into transactions
//      ▲                                      │
//      └───────────── answers, posted ◄───────┘
//
// A get overtakes changes that wait, but never one of its own key: then those are made at once.
// Changes wait up to `gather` for others, as each transaction costs a sync of the disk; what is not
// written when the process is killed is a miss after the restart.
//
// Erasing by prefix looks at every object, some at a time between other work; meanwhile a get of
// such a key is a miss.
//
// Whatever is wrong with the disk, answers come: as misses. A file or a disk without room lowers the
// bound to what fits, and if that does not help all is forgotten; a file that has failed is discarded
// and the disk left alone for `retry`. What is read is checked, so a bad disk costs hits, never
// serves wrong bytes.
//
// Threading: get(), put() and erase() by any loop, the rest by the owner. The loops outlive it.
// Bounds: Options; what exceeds them is dropped and counted, a get answered as a miss.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "cache/segment_file.h"
#include "common/io/loop.h"
#include "common/metrics.h"

namespace weir {

class SegmentStore final : public ObjectTier {
 public:
  struct Options {
    std::string folder;
    std::uint64_t size = 1024 * 1024 * 1024;           // on disk, at least SegmentFile::kLeastSize
    std::size_t max_waiting = 10'000;                  // requests not done yet
    std::size_t max_waiting_bytes = 64 * 1024 * 1024;  // of objects to be written
    std::size_t transaction_bytes = 8 * 1024 * 1024;   // about, and at most 1/16 of size
    milliseconds gather{250};
    milliseconds retry{60'000};
  };

  // Opens on its thread. Metrics: weir_disk_cache_*.
  SegmentStore(Options options, Metrics& metrics);
  // Writes what waits.
  ~SegmentStore() override;
  SegmentStore(const SegmentStore&) = delete;
  SegmentStore& operator=(const SegmentStore&) = delete;

  void get(std::string key, Got on_done) override;
  void put(std::string key, TierObject object) override;
  void erase(std::string key) override;
  void erase_prefix(std::string prefix) override;

 private:
  struct Request {
    enum class Kind { Get, Put, Erase, ErasePrefix } kind;
    std::string key;
    TierObject object = {};
    Got on_done = nullptr;
    Loop* home = nullptr;
    std::size_t bytes = 0;
  };
  struct Counters {
    explicit Counters(Metrics& metrics);
    prometheus::Gauge& up;
    prometheus::Gauge& entries;
    prometheus::Gauge& bytes;
    prometheus::Counter& hits;
    prometheus::Counter& misses;
    prometheus::Counter& corrupt;
    prometheus::Counter& dropped;
    prometheus::Counter& evicted;
    prometheus::Counter& errors;
  };

  bool enqueue(Request& request);
  // The thread's.
  void run();
  void take(Request request);
  Result<void> look_up(Request& request);
  void sweep_some();
  void write_some();
  Result<void> write(std::span<Request> batch);
  template <class Work>
  Result<void> in_transaction(Work work);
  void make_room(const Error& why);
  void finish(Request& request);
  static void answer(Request& request, std::optional<TierObject> object);
  void open();
  void close();
  void give_up(const Error& why);
  void show_usage();

  const Options options_;
  Counters counters_;

  std::mutex mutex_;  // for the next four
  std::condition_variable came_;
  std::vector<Request> inbox_;
  std::size_t waiting_ = 0;
  std::size_t waiting_bytes_ = 0;
  bool stopping_ = false;

  std::unique_ptr<SegmentFile> file_;  // null: memory only
  Clock::time_point open_again_;
  int lost_files_ = 0;
  std::vector<Request> changes_;  // and the gets that wait for them
  std::size_t change_bytes_ = 0;
  std::unordered_multiset<std::string> changing_;
  Clock::time_point write_at_;
  bool write_now_ = false;
  std::deque<SegmentFile::Sweep> sweeps_;
  std::thread thread_;
};

}  // namespace weir
