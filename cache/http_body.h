// cache/http_body.h
// The bytes of one response, which any number of readers may read while they still arrive.
//
//     block 0        block 1                 block 2
//     [b b b b b b] ─► [b b b b b b b b b b] ─► [b b b . . . . . .]
//           ▲reader           ▲reader                  ▲committed
//
// An append-only chain of blocks that never move nor change: a hit is sent from them, by as many
// sessions at a time as there are, without a copy. Readers know only what has been committed.
//
// Threading: written by one loop, read by any. Bounds: what the writer appends. Blocks grow with the
// body, so that memory follows the bytes that came and not the length that was announced; every byte
// of them is in the `memory` of the cache from the block's birth to its end, readers or not. A body
// that has become too large to keep is let go: its blocks then live as long as the slowest reader
// needs them, and room() tells the writer to wait for it.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "common/bytes.h"
#include "common/io/broadcast.h"

namespace weir {

// How much memory all bodies hold.
class MemoryUse {
 public:
  void add(std::size_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::size_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> bytes_{0};
};

class HttpBody {
 public:
  static constexpr std::size_t kFirstBlock = 4 * 1024;  // when the length is not known
  static constexpr std::size_t kLargestBlock = 1024 * 1024;
  static constexpr std::size_t kPassingWindow = 2 * kLargestBlock;  // of a body let go

  enum class State : std::uint8_t { Arriving, Complete, Broken };

  HttpBody(std::shared_ptr<MemoryUse> memory, std::optional<std::uint64_t> length);
  ~HttpBody();
  HttpBody(const HttpBody&) = delete;
  HttpBody& operator=(const HttpBody&) = delete;

  // The writer. append() takes all, which is not more than was announced; finish() and break_off()
  // are its last word.
  void append(ByteView bytes);
  void finish();
  void break_off();
  // No new readers: what nobody will read any more is freed.
  void let_go();
  bool is_let_go() const { return let_go_.load(std::memory_order_acquire); }
  // A body let go has room while its readers keep up. Without readers it has none, for ever.
  bool has_room() const;
  bool has_readers() const { return readers_.load(std::memory_order_relaxed) > 0; }

  std::uint64_t size() const { return committed_.load(std::memory_order_acquire); }
  State state() const { return state_.load(std::memory_order_acquire); }
  bool complete() const { return state() == State::Complete; }
  // Once it is known: announced, or complete.
  std::optional<std::uint64_t> length() const;
  // What it costs to keep.
  std::size_t memory() const { return meter_->own.load(std::memory_order_relaxed); }

  // Announces every change of size(), state(), is_let_go() and has_room().
  Broadcast& progress() const { return meter_->progress; }

  class Reader;
  // All bytes from `first` on, in order. Nothing once it has been let go.
  std::optional<Reader> read(std::uint64_t first) const;

  // All of a complete body in one piece. For what is small.
  ByteBuffer copy() const;

 private:
  struct Meter {
    std::shared_ptr<MemoryUse> all;
    std::atomic<std::size_t> own{0};
    Broadcast progress;
  };
  struct Block {
    Block(std::shared_ptr<Meter> counted, std::uint64_t at, std::size_t size);
    ~Block();
    const std::shared_ptr<Meter> meter;
    const std::uint64_t begin;
    const std::size_t capacity;
    std::unique_ptr<std::uint8_t[]> bytes;
    std::shared_ptr<Block> next;  // set before anything in it is committed
  };

  static std::size_t capacity_for(std::uint64_t left);
  std::size_t next_capacity() const;

  const std::shared_ptr<Meter> meter_;
  const std::optional<std::uint64_t> announced_;
  std::shared_ptr<Block> last_;  // the writer's
  mutable std::mutex mutex_;
  std::shared_ptr<Block> first_;  // guarded by mutex_; null when let go
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<State> state_{State::Arriving};
  std::atomic<bool> let_go_{false};
  mutable std::atomic<int> readers_{0};
};

// A place in a body. Holds the block it is in, and what comes after.
class HttpBody::Reader {
 public:
  Reader(Reader&& other) noexcept;
  Reader& operator=(Reader&&) = delete;
  ~Reader();

  // What to send next, at most `most` bytes in at most out.size() pieces; 0 pieces when nothing new
  // has come.
  std::size_t pieces(std::span<iovec> out, std::uint64_t most);
  void advance(std::uint64_t bytes);
  std::uint64_t position() const { return position_; }

 private:
  friend class HttpBody;
  Reader(const HttpBody& body, std::shared_ptr<Block> block, std::uint64_t first);
  void find_block();

  const HttpBody* body_;  // null: moved from
  std::shared_ptr<Block> block_;
  std::uint64_t position_;
};

}  // namespace weir
