// common/wire/rtmp_chunk_reader.cpp
#include "common/wire/rtmp_chunk_reader.h"

#include <utility>

namespace weir::rtmp {

Result<std::optional<Message>> ChunkReader::next(ByteView& input) {
  release_idle_buffers();
  while (!held_.empty() || !input.empty()) {
    if (chunk_left_ == 0) {
      Result<std::optional<ChunkHead>> head = streams_.read(held_.window(input, true));
      if (!head) return std::unexpected(std::move(head.error()));
      if (!*head) {
        held_.hold(input);
        return std::nullopt;
      }
      held_.consume(input, (*head)->size);
      current_ = (*head)->stream;
      chunk_left_ = (*head)->payload;
      const bool whole = (*head)->starts_message && chunk_left_ == streams_[current_].header.length;
      if (whole && held_.empty() && input.size() >= chunk_left_) {
        const ByteView payload = input.first(chunk_left_);
        input = input.subspan(chunk_left_);
        streams_.advance(current_, std::exchange(chunk_left_, 0));
        return finish(payload);
      }
      if ((*head)->starts_message && current_ < partials_.size()) partials_[current_].clear();
    }
    ByteView bytes = held_.window(input, false);
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), chunk_left_));
    append(current_, bytes);
    const auto count = static_cast<std::uint32_t>(bytes.size());
    held_.consume(input, count);
    chunk_left_ -= count;
    if (streams_.advance(current_, count)) return finish(partials_[current_]);
  }
  return std::nullopt;
}

void ChunkReader::append(std::size_t stream, ByteView bytes) {
  if (partials_.size() <= stream) partials_.resize(stream + 1);
  ByteBuffer& partial = partials_[stream];
  const std::size_t needed = partial.size() + bytes.size();
  if (needed > partial.capacity()) {
    partial.reserve(std::min<std::size_t>(streams_[stream].header.length, 2 * needed));
  }
  weir::append(partial, bytes);
}

Result<std::optional<Message>> ChunkReader::finish(ByteView payload) {
  buffers_may_be_idle_ = true;
  const Message message{streams_[current_].header, payload};
  if (Result<void> applied = streams_.apply(message); !applied) {
    return std::unexpected(std::move(applied.error()));
  }
  return message;
}

void ChunkReader::release_idle_buffers() {
  if (!std::exchange(buffers_may_be_idle_, false)) return;
  for (std::size_t stream = 0; stream < partials_.size(); ++stream) {
    ByteBuffer& partial = partials_[stream];
    if (!streams_[stream].open && partial.capacity() > kIdleBuffer) partial = ByteBuffer();
  }
}

std::size_t ChunkReader::memory() const {
  std::size_t total = streams_.memory() + partials_.capacity() * sizeof(ByteBuffer);
  for (const ByteBuffer& partial : partials_) total += partial.capacity();
  return total;
}

}  // namespace weir::rtmp
