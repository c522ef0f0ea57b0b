#include "proxy/rtsp_lane.h"

#include <sys/uio.h>

namespace weir {

namespace {
// Smaller than the scratch memory: a turn serves many relays, and each should get a little.
constexpr std::size_t kReceive = 64 * 1024;
constexpr int kReceivesPerTurn = 8;
}  // namespace

RtspLane::RtspLane(Socket& from, Socket& to, const rtsp::Reader& reader, ByteView unread,
                   OnMessage on_message, milliseconds stall_timeout, Tally& tally)
    : from_(from),
      to_(to),
      reader_(reader),
      on_message_(std::move(on_message)),
      stall_timeout_(stall_timeout),
      tally_(tally),
      unread_(unread.begin(), unread.end()),
      heard_at_(from.loop().now()) {}

Task<Error> RtspLane::run() {
  const ByteBuffer first = std::exchange(unread_, {});
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
    heard_at_ = from_.loop().now();
    auto forwarded = forward(scratch.first(*got));
    if (!forwarded) co_return forwarded.error();
  }
}

Result<void> RtspLane::insert(const rtsp::Message& message) {
  if (inserted_.size() > kMaxInserted) return fail(Errc::Limit, "answers are not taken");
  rtsp::write(message, inserted_);
  // Otherwise run() sends it when the frame under way is through.
  if (!reader_.between_frames()) return {};
  const std::string text = std::exchange(inserted_, {});
  if (pending_.size() > kReceive) return fail(Errc::Limit, "answers are not taken");
  return send(as_bytes(text));
}

Result<void> RtspLane::forward(ByteView input) {
  while (!input.empty()) {
    // Media that never pauses must not keep what is to be inserted waiting.
    auto item = inserted_.empty() ? reader_.next(input) : reader_.next_single(input);
    if (!item) {
      refusal_ = item.error().status;
      return std::unexpected(item.error());
    }
    auto sent = send(item->frames);
    if (!sent) return sent;
    if (item->message) {
      text_.clear();
      auto passed = on_message_(std::move(*item->message), text_);
      if (!passed) return passed;
      sent = send(as_bytes(text_));
      if (!sent) return sent;
    }
    if (inserted_.empty() || !reader_.between_frames()) continue;
    sent = send(as_bytes(std::exchange(inserted_, {})));
    if (!sent) return sent;
  }
  return {};
}

// Sends what it can and keeps the rest.
Result<void> RtspLane::send(ByteView bytes) {
  if (bytes.empty()) return {};
  if (pending_.empty()) {
    const iovec piece{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    auto sent = to_.try_write({&piece, 1});
    if (!sent) return std::unexpected(sent.error());
    bytes_ += *sent;
    tally_.add(*sent);
    bytes = bytes.subspan(*sent);
  }
  append(pending_, bytes);
  return {};
}

Task<Result<void>> RtspLane::drain() {
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
