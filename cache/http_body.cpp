#include "cache/http_body.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace weir {

HttpBody::Block::Block(std::shared_ptr<Meter> counted, std::uint64_t at, std::size_t size)
    : meter(std::move(counted)), begin(at), capacity(size), bytes(new std::uint8_t[size]) {
  meter->all->add(capacity);
  meter->own.fetch_add(capacity, std::memory_order_relaxed);
}

HttpBody::Block::~Block() {
  meter->all->remove(capacity);
  meter->own.fetch_sub(capacity, std::memory_order_relaxed);
  meter->progress.announce();
  // One after the other, for a long chain would end in as many nested calls.
  std::shared_ptr<Block> rest = std::move(next);
  while (rest != nullptr && rest.use_count() == 1) rest = std::move(rest->next);
}

HttpBody::HttpBody(std::shared_ptr<MemoryUse> memory, std::optional<std::uint64_t> length)
    : meter_(std::make_shared<Meter>(std::move(memory))),
      announced_(length),
      last_(std::make_shared<Block>(meter_, 0, capacity_for(length.value_or(kFirstBlock)))),
      first_(last_) {}

HttpBody::~HttpBody() { INVARIANT(!has_readers()); }

std::size_t HttpBody::capacity_for(std::uint64_t left) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(left, 1, kLargestBlock));
}

std::size_t HttpBody::next_capacity() const {
  const std::uint64_t size = committed_.load(std::memory_order_relaxed);
  return capacity_for(announced_ ? *announced_ - size : last_->capacity * 4);
}

void HttpBody::append(ByteView bytes) {
  INVARIANT(state() == State::Arriving);
  while (!bytes.empty()) {
    const std::uint64_t size = committed_.load(std::memory_order_relaxed);
    if (size == last_->begin + last_->capacity) {
      last_->next = std::make_shared<Block>(meter_, size, next_capacity());
      last_ = last_->next;
    }
    const auto within = static_cast<std::size_t>(size - last_->begin);
    const ByteView piece = bytes.first(std::min(bytes.size(), last_->capacity - within));
    std::memcpy(last_->bytes.get() + within, piece.data(), piece.size());
    // From here on readers see it.
    committed_.store(size + piece.size(), std::memory_order_release);
    bytes = bytes.subspan(piece.size());
  }
  meter_->progress.announce();
}

void HttpBody::finish() {
  state_.store(State::Complete, std::memory_order_release);
  meter_->progress.announce();
}

void HttpBody::break_off() {
  state_.store(State::Broken, std::memory_order_release);
  meter_->progress.announce();
}

void HttpBody::let_go() {
  std::shared_ptr<Block> freed;  // after the lock
  {
    const std::lock_guard lock(mutex_);
    freed = std::move(first_);
  }
  let_go_.store(true, std::memory_order_release);
  meter_->progress.announce();
}

bool HttpBody::has_room() const { return has_readers() && memory() <= kPassingWindow; }

std::optional<std::uint64_t> HttpBody::length() const {
  if (announced_) return announced_;
  return complete() ? std::optional(size()) : std::nullopt;
}

std::optional<HttpBody::Reader> HttpBody::read(std::uint64_t first) const {
  const std::lock_guard lock(mutex_);
  if (first_ == nullptr) return std::nullopt;
  return Reader(*this, first_, first);
}

ByteBuffer HttpBody::copy() const {
  ByteBuffer all;
  auto reader = read(0);
  iovec piece;
  while (reader && reader->pieces({&piece, 1}, UINT64_MAX) == 1) {
    weir::append(all, {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len});
    reader->advance(piece.iov_len);
  }
  return all;
}

HttpBody::Reader::Reader(const HttpBody& body, std::shared_ptr<Block> block, std::uint64_t first)
    : body_(&body), block_(std::move(block)), position_(first) {
  body_->readers_.fetch_add(1, std::memory_order_relaxed);
}

HttpBody::Reader::Reader(Reader&& other) noexcept
    : body_(std::exchange(other.body_, nullptr)),
      block_(std::move(other.block_)),
      position_(other.position_) {}

HttpBody::Reader::~Reader() {
  if (body_ == nullptr) return;
  block_ = nullptr;
  body_->readers_.fetch_sub(1, std::memory_order_relaxed);
  if (body_->state() == State::Arriving) body_->progress().announce();
}

// Moves on to the block in which the next byte lies. REQUIRES: that byte has been committed.
void HttpBody::Reader::find_block() {
  while (position_ >= block_->begin + block_->capacity) block_ = block_->next;
}

std::size_t HttpBody::Reader::pieces(std::span<iovec> out, std::uint64_t most) {
  const std::uint64_t size = body_->size();
  if (position_ >= size || most == 0) return 0;
  find_block();
  const std::uint64_t end = most < size - position_ ? position_ + most : size;
  std::size_t count = 0;
  std::uint64_t at = position_;
  const Block* block = nullptr;
  while (at < end && count < out.size()) {
    block = block == nullptr ? block_.get() : block->next.get();
    const std::uint64_t stop = std::min<std::uint64_t>(end, block->begin + block->capacity);
    out[count++] = {.iov_base = block->bytes.get() + (at - block->begin),
                    .iov_len = static_cast<std::size_t>(stop - at)};
    at = stop;
  }
  return count;
}

void HttpBody::Reader::advance(std::uint64_t bytes) {
  position_ += bytes;
  // What has been read may be freed now.
  if (position_ < body_->size()) find_block();
}

}  // namespace weir
