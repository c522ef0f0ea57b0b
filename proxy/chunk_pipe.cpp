#include "proxy/chunk_pipe.h"

#include <sys/uio.h>

namespace weir {

namespace {
constexpr std::size_t kMaxPieces = 64;
// Smaller than the scratch memory: a turn serves many relays, and each should get a little.
constexpr std::size_t kReceive = 64 * 1024;
constexpr int kReceivesPerTurn = 8;
}  // namespace

ChunkPipe::ChunkPipe(Socket& from, Socket& to, rtmp::ChunkWalker walker, ByteView unread,
                     milliseconds stall_timeout, Tally& tally)
    : from_(from),
      to_(to),
      walker_(std::move(walker)),
      stall_timeout_(stall_timeout),
      tally_(tally),
      pending_(unread.begin(), unread.end()) {}

Task<Error> ChunkPipe::run() {
  ByteBuffer first = std::exchange(pending_, {});
  auto begun = forward(first);
  if (!begun) co_return begun.error();
  int receives = 0;
  while (true) {
    if (++receives > kReceivesPerTurn) {
      receives = 0;
      auto turn = co_await sleep(from_.loop(), milliseconds(0));
      if (!turn) co_return turn.error();
    }
    if (!pending_.empty()) {
      auto drained = co_await drain();
      if (!drained) co_return drained.error();
    }
    const auto scratch = from_.loop().scratch().first(kReceive);
    auto got = from_.try_read(scratch);
    if (!got) {
      if (got.error().code == Errc::Closed) to_.shut_down_writes();
      co_return got.error();
    }
    if (*got == 0) {
      receives = 0;
      auto ready = co_await from_.readable(Deadline::max());
      if (!ready) co_return ready.error();
      continue;
    }
    auto forwarded = forward(scratch.first(*got));
    if (!forwarded) co_return forwarded.error();
  }
}

// Sends what it can and keeps the rest. REQUIRES: nothing is pending.
Result<void> ChunkPipe::forward(std::span<std::uint8_t> input) {
  auto walked = walker_.walk(input, pieces_);
  if (!walked) return walked;
  std::array<iovec, kMaxPieces> room;
  std::size_t done = 0;  // bytes of the first piece not yet handled
  std::size_t next = 0;
  bool blocked = false;
  while (next < pieces_.size() && !blocked) {
    std::size_t count = 0;
    std::size_t wanted = 0;
    for (std::size_t i = next; i < pieces_.size() && count < room.size(); ++i) {
      const ByteView piece = pieces_[i].subspan(i == next ? done : 0);
      room[count++] = {.iov_base = const_cast<std::uint8_t*>(piece.data()),
                       .iov_len = piece.size()};
      wanted += piece.size();
    }
    auto sent = to_.try_write(std::span(room).first(count));
    if (!sent) return std::unexpected(sent.error());
    bytes_ += *sent;
    tally_.add(*sent);
    blocked = *sent < wanted;
    done += *sent;
    while (next < pieces_.size() && done >= pieces_[next].size()) done -= pieces_[next++].size();
  }
  for (; next < pieces_.size(); ++next)
    append(pending_, pieces_[next].subspan(std::exchange(done, 0)));
  return {};
}

Task<Result<void>> ChunkPipe::drain() {
  while (pending_sent_ < pending_.size()) {
    const iovec rest{.iov_base = pending_.data() + pending_sent_,
                     .iov_len = pending_.size() - pending_sent_};
    auto sent = to_.try_write({&rest, 1});
    if (!sent) co_return std::unexpected(sent.error());
    pending_sent_ += *sent;
    bytes_ += *sent;
    tally_.add(*sent);
    if (*sent > 0) continue;
    auto writable = co_await to_.writable(to_.loop().in(stall_timeout_));
    if (!writable) co_return writable;
  }
  pending_ = ByteBuffer();
  pending_sent_ = 0;
  co_return Result<void>{};
}

}  // namespace weir
