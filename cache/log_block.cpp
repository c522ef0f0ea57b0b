#include "cache/log_block.h"

#include <algorithm>
#include <cstring>

namespace weir {

LogBlock::LogBlock(std::uint64_t begin, std::size_t capacity)
    : begin_(begin), capacity_(capacity), data_(new std::uint8_t[capacity]) {}

LogBlock::LogBlock(ByteView message) : LogBlock(0, message.size()) {
  std::memcpy(data_.get(), message.data(), message.size());
  end_message(message.size());
}

std::uint8_t* LogBlock::room_for(std::size_t size) {
  const bool fits =
      size <= capacity_ - size_ && messages_.load(std::memory_order_relaxed) < kMaxMessages;
  return fits ? data_.get() + size_ : nullptr;
}

void LogBlock::end_message(std::size_t size) {
  size_ += size;
  const std::uint32_t count = messages_.load(std::memory_order_relaxed);
  ends_[count] = static_cast<std::uint32_t>(size_);
  messages_.store(count + 1, std::memory_order_release);
}

std::uint32_t LogBlock::message_end(std::uint32_t offset) const {
  const auto ends = std::span(ends_).first(messages_.load(std::memory_order_acquire));
  const auto end = std::ranges::lower_bound(ends, offset);
  const bool at_start = offset == 0 || (end != ends.end() && *end == offset);
  return at_start || end == ends.end() ? offset : *end;
}

}  // namespace weir
