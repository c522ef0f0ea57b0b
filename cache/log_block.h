// cache/log_block.h
// One contiguous piece of a stream log: whole messages only, none of which goes
// on in another block.
//
// Threading: written by the stream's home loop alone, at its end. Any loop may read the bytes and
// boundaries of messages that a LogView has shown it: they never change and never move.
// Bounds: `capacity` bytes and kMaxMessages boundaries, both set aside at birth.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "common/bytes.h"

namespace weir {

class LogBlock {
 public:
  static constexpr std::uint32_t kMaxMessages = 1024;

  // `begin` is the place of its first byte in the whole log.
  LogBlock(std::uint64_t begin, std::size_t capacity);
  // A block of one message that belongs to no log: a preamble.
  explicit LogBlock(ByteView message);

  std::uint64_t begin() const { return begin_; }
  const std::uint8_t* data() const { return data_.get(); }

  // Home loop: room for one more message, null if it does not fit; then its end.
  std::uint8_t* room_for(std::size_t size);
  void end_message(std::size_t size);
  std::size_t size() const { return size_; }

  // Any loop: where the message ends in which `offset` (from the block's first byte) lies; `offset`
  // itself if a message begins there. REQUIRES: offset lies in what was shown.
  std::uint32_t message_end(std::uint32_t offset) const;

 private:
  const std::uint64_t begin_;
  const std::size_t capacity_;
  std::size_t size_ = 0;
  std::unique_ptr<std::uint8_t[]> data_;
  std::atomic<std::uint32_t> messages_{0};
  std::array<std::uint32_t, kMaxMessages> ends_;  // only [0, messages_) is written
};

using BlockRef = std::shared_ptr<const LogBlock>;

}  // namespace weir
