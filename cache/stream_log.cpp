#include "cache/stream_log.h"

#include <algorithm>

#include "common/check.h"

namespace weir {

std::uint8_t* StreamLog::begin_message(std::size_t size, Clock::time_point now) {
  if (kept_.empty() || kept_.back().block->room_for(size) == nullptr) start_block(size, now);
  message_size_ = size;
  kept_.back().written = now;
  return kept_.back().block->room_for(size);
}

void StreamLog::end_message(bool keyframe) {
  if (keyframe) {
    view_.keyframe = view_.committed;
    view_.preamble = next_preamble_;
  }
  kept_.back().block->end_message(message_size_);
  view_.committed += message_size_;
}

void StreamLog::set_preamble(ByteView bytes) {
  next_preamble_ = bytes.empty() ? nullptr : std::make_shared<const LogBlock>(bytes);
}

LogView StreamLog::view() const { return view_; }

void StreamLog::start_block(std::size_t size, Clock::time_point now) {
  const std::size_t capacity = std::max(limits_.block_size, size);
  kept_.push_back({std::make_shared<LogBlock>(view_.committed, capacity), capacity, now});
  bytes_ += capacity;
  trim(now);
  list_blocks();
}

void StreamLog::trim(Clock::time_point now) {
  // Everything before the end of the block that is not the last: [0, count) go.
  std::size_t count = 0;
  for (; count + 1 < kept_.size(); ++count) {
    const std::uint64_t end = kept_[count + 1].block->begin();
    const bool unneeded =
        (!view_.keyframe || end <= *view_.keyframe) && now - kept_[count].written > limits_.window;
    if (!unneeded && bytes_ <= limits_.max_bytes) break;
    bytes_ -= kept_[count].capacity;
  }
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count));
  if (view_.keyframe && *view_.keyframe < kept_.front().block->begin()) view_.keyframe.reset();
}

void StreamLog::list_blocks() {
  auto list = std::make_shared<BlockList>();
  list->reserve(kept_.size());
  for (const auto& kept : kept_) list->push_back(kept.block);
  view_.blocks = std::move(list);
}

namespace {

// The block in which `offset` lies, or the last one. REQUIRES: offset is not before the first.
BlockList::const_iterator find_block(const BlockList& blocks, std::uint64_t offset) {
  if (offset >= blocks.back()->begin()) return blocks.end() - 1;
  return std::ranges::upper_bound(blocks, offset, {},
                                  [](const BlockRef& each) { return each->begin(); }) -
         1;
}

}  // namespace

Cursor Cursor::start(const LogView& view) {
  INVARIANT(view.keyframe.has_value());
  Cursor cursor;
  cursor.offset_ = *view.keyframe;
  cursor.preamble_ = cursor.last_preamble_ = view.preamble;
  return cursor;
}

bool Cursor::lost(const LogView& view) const { return offset_ < view.blocks->front()->begin(); }

std::optional<iovec> Cursor::rest_of_message() const {
  auto rest = [](const LogBlock& block, std::uint32_t from, std::uint32_t to) {
    return iovec{.iov_base = const_cast<std::uint8_t*>(block.data()) + from, .iov_len = to - from};
  };
  if (preamble_ && preamble_sent_ > 0)
    return rest(*preamble_, preamble_sent_, static_cast<std::uint32_t>(preamble_->size()));
  if (preamble_ || !block_) return std::nullopt;
  const auto within = static_cast<std::uint32_t>(offset_ - block_->begin());
  const std::uint32_t end = block_->message_end(within);
  if (end == within) return std::nullopt;
  return rest(*block_, within, end);
}

bool Cursor::jump(const LogView& view) {
  if (!view.keyframe) return false;
  offset_ = *view.keyframe;
  block_.reset();
  if (view.preamble != last_preamble_) {
    preamble_ = last_preamble_ = view.preamble;
    preamble_sent_ = 0;
  }
  return true;
}

std::size_t Cursor::pieces(const LogView& view, std::span<iovec> out, bool& jumped) {
  jumped = false;
  if (!view.blocks) return 0;
  std::size_t count = 0;
  auto add = [&](const LogBlock& block, std::uint64_t from, std::uint64_t to) {
    out[count++] = {.iov_base = const_cast<std::uint8_t*>(block.data()) + from,
                    .iov_len = to - from};
  };
  if (lost(view)) {
    if (auto rest = rest_of_message()) {
      out[count++] = *rest;
      return count;
    }
    if (preamble_) last_preamble_.reset();  // nothing of it has gone out: it still has to
    preamble_.reset();
    jumped = jump(view);
    if (!jumped) return 0;
  }
  if (preamble_) add(*preamble_, preamble_sent_, preamble_->size());
  const auto& blocks = *view.blocks;
  std::uint64_t from = offset_;
  for (auto block = find_block(blocks, offset_);
       block != blocks.end() && count < out.size() && from < view.committed; ++block) {
    const auto next = block + 1;
    const std::uint64_t end =
        next == blocks.end() ? view.committed : std::min(view.committed, (*next)->begin());
    if (end > from) add(**block, from - (*block)->begin(), end - (*block)->begin());
    from = end;
  }
  return count;
}

void Cursor::advance(const LogView& view, std::size_t bytes) {
  if (preamble_) {
    const auto part = std::min<std::size_t>(bytes, preamble_->size() - preamble_sent_);
    preamble_sent_ += static_cast<std::uint32_t>(part);
    bytes -= part;
    if (preamble_sent_ == preamble_->size()) preamble_.reset();
  }
  offset_ += bytes;
  if (lost(view)) return;
  // Keep the block alive in which the next byte to send lies.
  const auto& blocks = *view.blocks;
  if (offset_ >= blocks.back()->begin()) {
    if (block_ != blocks.back()) block_ = blocks.back();
    return;
  }
  block_ = *find_block(blocks, offset_);
}

std::uint64_t Cursor::behind(const LogView& view) const { return view.committed - offset_; }

}  // namespace weir
