// proxy/relay_pipe.h
// One direction of a relay: bytes from one socket to the other, looked at in passing by whoever
// derives from this.
//
// Costs what a TCP proxy costs: one receive into the loop's scratch memory and one send a turn.
// What the receiver does not take is kept, and nothing more is read until it is gone.
//
// Threading: one loop's. Bounds: what one receive brings, and what the deriving class adds to it.
#pragma once

#include <sys/uio.h>

#include <functional>
#include <span>

#include "common/io/socket.h"
#include "common/metrics.h"

namespace weir {

class RelayPipe {
 public:
  RelayPipe(const RelayPipe&) = delete;
  RelayPipe& operator=(const RelayPipe&) = delete;

  // Until one side ends: Closed when `from` is at its end and all of it has been sent. Then
  // half-closes `to`.
  Task<Error> run();

  std::uint64_t bytes() const { return bytes_; }
  // Called once, when the first bytes are sent.
  std::move_only_function<void()> on_first;

 protected:
  // Smaller than the scratch memory: a turn serves many relays, and each should get a little.
  static constexpr std::size_t kReceive = 64 * 1024;

  // `unread` is what of `from` was received before and nobody has used.
  RelayPipe(Socket& from, Socket& to, ByteView unread, milliseconds stall_timeout, Tally& tally)
      : from_(from),
        to_(to),
        stall_timeout_(stall_timeout),
        tally_(tally),
        unread_(unread.begin(), unread.end()) {}
  ~RelayPipe() = default;

  // Sends what came, by try_send(), and keep()s what was not taken. An error ends the pipe.
  virtual Result<void> forward(std::span<std::uint8_t> input) = 0;

  // How much of it the receiver took at once. REQUIRES: nothing is kept.
  Result<std::size_t> try_send(std::span<const iovec> pieces);
  void keep(ByteView rest) { append(kept_, rest); }
  std::size_t kept() const { return kept_.size(); }

  Socket& from() { return from_; }

 private:
  Task<Result<void>> drain();

  Socket& from_;
  Socket& to_;
  const milliseconds stall_timeout_;
  Tally& tally_;
  ByteBuffer unread_;  // until run()
  ByteBuffer kept_;    // for the receiver
  std::size_t kept_sent_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir
