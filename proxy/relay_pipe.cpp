#include "proxy/relay_pipe.h"

namespace weir {

namespace {
constexpr int kReceivesPerTurn = 8;
}  // namespace

Task<Error> RelayPipe::run() {
  ByteBuffer first = std::exchange(unread_, {});
  auto begun = forward(first);
  if (!begun) co_return begun.error();
  int receives = 0;
  while (true) {
    if (++receives > kReceivesPerTurn) {
      receives = 0;
      auto turn = co_await sleep(from_.loop(), milliseconds(0));
      if (!turn) co_return turn.error();
    }
    if (!kept_.empty()) {
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

Result<std::size_t> RelayPipe::try_send(std::span<const iovec> pieces) {
  auto sent = to_.try_write(pieces);
  if (!sent) return sent;
  if (bytes_ == 0 && *sent > 0 && on_first) on_first();
  bytes_ += *sent;
  tally_.add(*sent);
  return sent;
}

Task<Result<void>> RelayPipe::drain() {
  while (kept_sent_ < kept_.size()) {
    const iovec rest{.iov_base = kept_.data() + kept_sent_, .iov_len = kept_.size() - kept_sent_};
    auto sent = try_send({&rest, 1});
    if (!sent) co_return std::unexpected(sent.error());
    kept_sent_ += *sent;
    if (*sent > 0) continue;
    auto writable = co_await to_.writable(to_.loop().in(stall_timeout_));
    if (!writable) co_return writable;
  }
  kept_ = ByteBuffer();
  kept_sent_ = 0;
  co_return Result<void>{};
}

}  // namespace weir
