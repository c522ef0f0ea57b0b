// proxy/chunk_pipe.h
// One direction of an RTMP relay once both sides are set up: bytes from one
// socket to the other, chunk headers looked at in passing.
//
// Costs what a TCP proxy costs: one receive into the loop's scratch memory and one send a turn.
// What the receiver does not take is kept, and nothing more is read until it is gone.
//
// Threading: one loop's. Bounds: one scratch memory of pending bytes.
#pragma once

#include "common/io/socket.h"
#include "common/metrics.h"
#include "common/wire/rtmp_chunk_walker.h"

namespace weir {

class ChunkPipe {
 public:
  // `walker` goes on where the set-up's reader stopped; `unread` is what that reader had not taken.
  ChunkPipe(Socket& from, Socket& to, rtmp::ChunkWalker walker, ByteView unread,
            milliseconds stall_timeout, Tally& tally);

  // Until one side ends: Closed when `from` is at its end and all of it has been sent. Then
  // half-closes `to`.
  Task<Error> run();

  std::uint64_t bytes() const { return bytes_; }
  const rtmp::WalkerCounters& counters() const { return walker_.counters(); }

 private:
  Result<void> forward(std::span<std::uint8_t> input);
  Task<Result<void>> drain();

  Socket& from_;
  Socket& to_;
  rtmp::ChunkWalker walker_;
  milliseconds stall_timeout_;
  Tally& tally_;
  ByteBuffer pending_;
  std::size_t pending_sent_ = 0;
  rtmp::Pieces pieces_;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir
