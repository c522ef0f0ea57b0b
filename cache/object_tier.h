// cache/object_tier.h
// What the HTTP cache keeps beyond its memory: whole objects by key, in a place that may be slow,
// full or gone. SegmentStore is the one on disk.
//
//     auto found = co_await get_within(tier, key, loop.in(200ms));
//     if (!found) ...                       // ask upstream: a miss is never an error
//     tier.put(key, {.head = ..., .body = {{bytes, owner}}, .expires = ...});
//
// What is put may be forgotten at any time, and is given back unchanged or not at all.
//
// Threading: any loop. A put's bytes are read by another thread after the call and must not change.
// Bounds: the tier's own; what it has no room for is dropped and counted.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/io/task.h"
#include "common/io/timer.h"

namespace weir {

// Bytes and what keeps them alive.
struct SharedBytes {
  ByteView bytes;
  std::shared_ptr<const void> owner;
};

struct TierObject {
  using Time = std::chrono::system_clock::time_point;  // it outlives the process

  std::string head = {};               // the caller's: status, headers, times; opaque to the tier
  std::vector<SharedBytes> body = {};  // put: in any pieces; got: one piece, or none when empty
  Time stored = {};                    // set by put()
  Time expires = {};                   // of no use from then on, not even stale

  std::size_t body_size() const {
    std::size_t size = 0;
    for (const auto& piece : body) size += piece.bytes.size();
    return size;
  }
};

class ObjectTier {
 public:
  using Got = std::move_only_function<void(std::optional<TierObject>)>;
  virtual ~ObjectTier() = default;

  // Calls `on_done` exactly once, on the calling loop, never before get() has returned. What this
  // loop has put or erased before is seen. REQUIRES: the calling thread is a loop.
  virtual void get(std::string key, Got on_done) = 0;
  // Replaces what the key had.
  virtual void put(std::string key, TierObject object) = 0;
  virtual void erase(std::string key) = 0;
  // All keys that begin so. What this loop has put before is not given back any more.
  virtual void erase_prefix(std::string prefix) = 0;
};

// get(), awaited: nothing as well when the deadline passes or the loop gives up its waits.
Task<std::optional<TierObject>> get_within(ObjectTier& tier, std::string key, Deadline deadline);

}  // namespace weir
