// cache/stream_log.h
// The bytes of one stream in one protocol, in the order viewers get them.
//
//     preamble     block 7            block 8            block 9
//     [headers]    [..K p p p p p p p][p p K p p p p p p][p p p p ......]
//                       ▲cursor            ▲keyframe            ▲committed
//
// A stream is serialised once; a viewer is a cursor here, so replication copies no media and
// allocates nothing. Why bytes and not packets: a flush is then one sendmsg of a few contiguous
// pieces, and the kernel's cost per write is what limits viewers per core.
//
// The preamble is what a player must have before a keyframe (metadata, codec configuration), as it
// was when that keyframe came; configuration that changes later stands in the log itself, in its
// place.
//
// Threading: StreamLog belongs to the stream's home loop. A LogView is a value; it may be sent to
// any loop and what it shows never changes. Bounds: blocks older than both the newest keyframe and
// `window` are let go, and any block but the last beyond `max_bytes`. A cursor left behind holds
// the one block it is in.
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <optional>
#include <vector>

#include "cache/log_block.h"

namespace weir {

using BlockList = std::vector<BlockRef>;

// What a loop may read of a log.
struct LogView {
  std::shared_ptr<const BlockList>
      blocks;                             // ascending, without gaps; null before the first message
  std::uint64_t committed = 0;            // end of the last whole message
  std::optional<std::uint64_t> keyframe;  // begin of the newest one, if the log still has it
  BlockRef preamble;                      // goes before `keyframe`; may be null
};

class StreamLog {
 public:
  using Clock = std::chrono::steady_clock;
  struct Limits {
    std::size_t block_size = 256 * 1024;
    std::size_t max_bytes = 32 * 1024 * 1024;
    std::chrono::milliseconds window{10'000};
  };

  explicit StreamLog(const Limits& limits) : limits_(limits) {}

  // Room for one whole message of exactly `size` bytes; it counts once end_message() is called.
  std::uint8_t* begin_message(std::size_t size, Clock::time_point now);
  void end_message(bool keyframe);

  // What goes before every keyframe from the next one on.
  void set_preamble(ByteView bytes);

  // All that has been committed. Costs two reference counts.
  LogView view() const;

  std::size_t bytes() const { return bytes_; }

 private:
  struct Kept {
    std::shared_ptr<LogBlock> block;
    std::size_t capacity;
    Clock::time_point written;
  };
  void start_block(std::size_t size, Clock::time_point now);
  void trim(Clock::time_point now);
  void list_blocks();

  Limits limits_;
  std::vector<Kept> kept_;
  std::size_t bytes_ = 0;
  std::size_t message_size_ = 0;
  BlockRef next_preamble_;
  LogView view_;
};

// Where one viewer is. Made by start(), moved by advance().
class Cursor {
 public:
  // At the preamble of the newest keyframe. REQUIRES: view.keyframe.
  static Cursor start(const LogView& view);

  // Up to out.size() pieces to send next, in order; 0 when there is nothing new. A cursor whose
  // block the view has let go gets the rest of its message, then jumps to the newest keyframe:
  // `jumped` tells.
  std::size_t pieces(const LogView& view, std::span<iovec> out, bool& jumped);
  // `bytes` of what pieces() gave have been sent.
  void advance(const LogView& view, std::size_t bytes);

  // Bytes between the cursor and the end of the view.
  std::uint64_t behind(const LogView& view) const;
  // Whether bytes of a message have been sent, but not all.
  bool inside_message() const { return rest_of_message().has_value(); }
  // The bytes that are missing of a message that has been sent in part.
  std::optional<iovec> rest_of_message() const;

 private:
  bool lost(const LogView& view) const;
  bool jump(const LogView& view);

  BlockRef preamble_;       // while it is being sent, else null
  BlockRef last_preamble_;  // what this viewer had last
  BlockRef block_;  // holds what `offset_` points into; null at a boundary not yet looked up
  std::uint64_t offset_ = 0;
  std::uint32_t preamble_sent_ = 0;
};

}  // namespace weir
