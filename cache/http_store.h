// cache/http_store.h
// The memory tier of the HTTP cache: which responses there are, and what is being asked for.
//
// One for the whole process, in shards by key, each behind a lock that is held for a look-up: a hit
// on any loop needs no message to another. Whoever finds nothing joins the one fill that is under
// way, or is told that it is theirs to begin.
//
//     find() ─► objects ─► serve            join() ─► mine: ask the origin, put() its answer, end()
//          └──► nothing ──────────────────────────┴─► not mine: wait for the fill
//
// Threading: any loop. Bounds: `memory` bytes of objects, the least useful going first
// (http_queue.h), whoever still sends them included; kMaxVariants for one key; keys known to be
// private are remembered for a short time, kMaxPrivate of them.
#pragma once

#include <array>
#include <atomic>
#include <unordered_map>

#include "cache/http_fill.h"
#include "cache/http_queue.h"

namespace weir {

class HttpStore {
 public:
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kMaxVariants = 16;
  static constexpr std::size_t kMaxPrivate = 4096;  // a shard

  explicit HttpStore(std::size_t memory) : limit_(memory), memory_(std::make_shared<MemoryUse>()) {}
  HttpStore(const HttpStore&) = delete;
  HttpStore& operator=(const HttpStore&) = delete;

  struct Found {
    HttpObjectRef object;  // selected by the request, fresh or not; may be null
    bool other = false;    // without it: the key has objects that others select
  };
  Found find(const std::string& key, const http::Headers& request);

  struct Joined {
    HttpFillRef fill;
    bool mine = false;
  };
  // Nothing while responses of this key are known to be private: everybody asks for themselves.
  std::optional<Joined> join(const std::string& key, const http::Headers& request,
                             Clock::time_point now);
  // Of whoever got `mine`: the fill is over, and so is its body.
  void end(const HttpFillRef& fill);
  void note_private(const std::string& key, Clock::time_point until);

  // Makes the object found, in place of what it supersedes; not if the fill has become invalid.
  void put(const HttpFill& fill, const HttpObjectRef& object);
  // Its body is all there, and counts. Whether it can still be found.
  bool completed(const std::string& key, const HttpObjectRef& object);
  // If it is there still.
  void drop(const std::string& key, const HttpObjectRef& object);
  // All that the key has or is about to get; whether it had anything.
  bool purge(const std::string& key);
  // The same for all keys that begin so.
  std::size_t purge_prefix(std::string_view prefix);

  // Evicts until there is room for so much more; false when what is in use leaves none.
  bool make_room(std::size_t bytes);

  // From here on; what is too much goes as others come.
  void limit(std::size_t memory) { limit_ = memory; }
  const std::shared_ptr<MemoryUse>& memory() const { return memory_; }
  std::size_t objects() const { return objects_.load(std::memory_order_relaxed); }
  std::uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }
  std::size_t fills() const { return fills_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    HttpQueue::Node node;
    std::vector<HttpObjectRef> variants;  // the newest first
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Entry> entries;
    HttpQueue queue;
    std::unordered_map<std::string, std::vector<HttpFillRef>> fills;
    std::unordered_map<std::string, Clock::time_point> is_private;  // until when
  };
  using Entries = std::unordered_map<std::string, Entry>;
  using Removed = std::vector<HttpObjectRef>;  // destroyed after the lock

  Shard& shard_of(const std::string& key);
  Removed erase(Shard& shard, Entries::iterator entry);
  static void recount(Shard& shard, Entry& entry);

  std::atomic<std::size_t> limit_;
  const std::shared_ptr<MemoryUse> memory_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> next_victim_{0};
  std::atomic<std::size_t> objects_{0};
  std::atomic<std::size_t> fills_{0};
  std::atomic<std::uint64_t> evictions_{0};
};

}  // namespace weir
