// proxy/chunk_pipe.h
// One direction of an RTMP relay once both sides are set up: chunk headers are looked at in passing
// (RelayPipe).
//
// Threading: one loop's. Bounds: RelayPipe's.
#pragma once

#include "common/wire/rtmp_chunk_walker.h"
#include "proxy/relay_pipe.h"

namespace weir {

class ChunkPipe final : public RelayPipe {
 public:
  // `walker` goes on where the set-up's reader stopped; `unread` is what that reader had not taken.
  ChunkPipe(Socket& from, Socket& to, rtmp::ChunkWalker walker, ByteView unread,
            milliseconds stall_timeout, Tally& tally)
      : RelayPipe(from, to, unread, stall_timeout, tally), walker_(std::move(walker)) {}

  const rtmp::WalkerCounters& counters() const { return walker_.counters(); }

  // What the receiver reads chunks of.
  std::uint32_t chunk_size() const { return walker_.chunk_size(); }
  // Last words of ours to the receiver, as far as the kernel takes them now. Left unsaid inside of a
  // message, and behind bytes that are not taken.
  void farewell(ByteView message);

 private:
  Result<void> forward(std::span<std::uint8_t> input) override;

  rtmp::ChunkWalker walker_;
  rtmp::Pieces pieces_;
};

}  // namespace weir
