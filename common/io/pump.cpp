#include "common/io/pump.h"

#include <sys/uio.h>

#include "common/io/child.h"
#include "common/metrics.h"

namespace weir {

namespace {

// A sender that never runs dry gives way to the loop's other work after so many pieces.
constexpr int kPiecesPerTurn = 16;

Deadline patience(const Loop& loop, milliseconds time) {
  return time == milliseconds(0) ? Deadline::max() : loop.in(time);
}

Result<std::size_t> send_now(Socket& to, ByteView bytes, const PumpOptions& options, PumpEnd& end) {
  const iovec piece{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
  auto sent = to.try_write({&piece, 1});
  if (!sent) return sent;
  end.bytes += *sent;
  if (options.tally != nullptr) options.tally->add(*sent);
  return sent;
}

Task<Result<void>> send_rest(Socket& to, ByteView rest, const PumpOptions& options, PumpEnd& end) {
  while (!rest.empty()) {
    auto ready = co_await to.writable(to.loop().in(options.stall));
    if (!ready) co_return ready;
    auto sent = send_now(to, rest, options, end);
    if (!sent) co_return std::unexpected(sent.error());
    rest = rest.subspan(*sent);
  }
  co_return Result<void>{};
}

void ended(PumpEnd& end, PumpEnd::Side side, Error why) {
  end.side = side;
  end.why = std::move(why);
}

struct Direction {
  Socket& from;
  Socket& to;
  PumpOptions options;
  PumpEnd& end;
};

// State of one relay_both().
struct Relay {
  Relay(Socket& a, Socket& b) : cutoff(a, b) {}
  Cutoff cutoff;
  const Socket* first = nullptr;  // who ended it
};

Task<void> relay_one(Direction way, Relay& relay, milliseconds linger) {
  auto end = co_await pump(way.from, way.to, way.options);
  if (relay.first == nullptr) relay.first = end.side == PumpEnd::Side::From ? &way.from : &way.to;
  if (end.complete) {
    way.to.shut_down_writes();
    relay.cutoff.after(linger);
  } else {
    relay.cutoff.now();
  }
  way.end = std::move(end);
}

}  // namespace

Task<PumpEnd> pump(Socket& from, Socket& to, PumpOptions options) {
  Loop& loop = from.loop();
  PumpExtent* extent = options.extent;
  PumpEnd end;
  int pieces = 0;
  while (true) {
    const std::size_t room = extent != nullptr ? extent->room(kPumpPiece) : kPumpPiece;
    const auto piece = loop.scratch().first(room);
    auto got = from.try_read(piece);
    if (!got) {
      const bool closed = got.error().code == Errc::Closed;
      end.complete = closed && (extent == nullptr || extent->closed());
      ended(end, PumpEnd::Side::From, got.error());
      co_return std::move(end);
    }
    if (*got == 0) {
      pieces = 0;
      auto ready = co_await from.readable(patience(loop, options.idle));
      if (ready) continue;
      ended(end, PumpEnd::Side::From, ready.error());
      co_return std::move(end);
    }
    ByteView bytes = piece.first(*got);
    if (extent != nullptr) {
      auto taken = extent->take(bytes);
      if (!taken) {
        ended(end, PumpEnd::Side::From, taken.error());
        co_return std::move(end);
      }
      const ByteView excess = bytes.subspan(*taken);
      if (!excess.empty()) end.excess.assign(excess.begin(), excess.end());
      bytes = bytes.first(*taken);
    }
    // The usual case is done here, for a coroutine's frame would be an allocation.
    auto sent = bytes.empty() ? Result<std::size_t>(0) : send_now(to, bytes, options, end);
    if (!sent) {
      ended(end, PumpEnd::Side::To, sent.error());
      co_return std::move(end);
    }
    if (*sent < bytes.size()) {
      const ByteBuffer rest(bytes.begin() + static_cast<std::ptrdiff_t>(*sent), bytes.end());
      auto drained = co_await send_rest(to, rest, options, end);
      if (!drained) {
        ended(end, PumpEnd::Side::To, drained.error());
        co_return std::move(end);
      }
    }
    if (extent != nullptr && extent->ended()) {
      end.complete = true;
      ended(end, PumpEnd::Side::From, {Errc::Closed, "complete"});
      co_return std::move(end);
    }
    if (++pieces == kPiecesPerTurn) {
      pieces = 0;
      auto turn = co_await sleep(loop, milliseconds(0));
      if (!turn) {
        ended(end, PumpEnd::Side::From, turn.error());
        co_return std::move(end);
      }
    }
  }
}

Task<RelayEnd> relay_both(Socket& a, Socket& b, RelayOptions options) {
  RelayEnd end;
  Relay relay(a, b);
  const Direction there{a, b, {.stall = options.stall, .tally = options.a_to_b}, end.a_to_b};
  const Direction back{b, a, {.stall = options.stall, .tally = options.b_to_a}, end.b_to_a};
  Child other_way(a.loop());
  other_way.start(relay_one(back, relay, options.linger));
  co_await relay_one(there, relay, options.linger);
  co_await other_way.join();
  end.a_ended_it = relay.first == &a;
  co_return std::move(end);
}

Task<void> part(Socket& from, Deadline deadline) {
  from.shut_down_writes();
  while (from.loop().now() < deadline) {
    auto got = co_await from.read(from.loop().scratch(), deadline);
    if (!got) co_return;
  }
}

}  // namespace weir
