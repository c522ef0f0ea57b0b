// common/wire/rtmp_chunk_walker.h
// Relays a chunk stream from sender B to receiver A without assembling messages: walks over B's
// chunk headers in the receive buffer and says which pieces go to A. Usually that is the whole
// buffer, in one piece.
//
// What keeps it from being a plain copy is that headers lean on earlier ones, and A never saw those
// which a ChunkReader took in before the walk. So the first message of each chunk stream gets a
// type 0 header with the absolute timestamp, if B did not send one:
//
//     B:  [type 1-3: first here]  [type 3: next message]  [anything]   type 0 at any time: as it
//     is, and synced A:  [type 0, absolute]      [type 2, B's delta]     [as it is]
//
// The type 3 in the middle cannot stay, for it would add the absolute timestamp again
// (RTMP 5.3.1.2.4). From then on A's state is B's, byte for byte. B's SetChunkSize and Abort are
// followed and reach A as they are.
//
// Threading: one loop's. Bounds: as the reader; at most one header is held back, and payload is
// kept only of one command of up to 4 KiB, if asked for. Nothing is allocated in steady state.
#pragma once

#include <functional>
#include <span>

#include "common/wire/rtmp_chunk_reader.h"

namespace weir::rtmp {

// What walk() wants sent, in order. The spans hold until the next walk into it and as long as the
// input does.
class Pieces {
 public:
  std::size_t size() const { return pieces_.size(); }
  ByteView operator[](std::size_t index) const {
    const Piece& piece = pieces_[index];
    return {piece.data ? piece.data : copies_.data() + piece.offset, piece.size};
  }

 private:
  friend class ChunkWalker;
  struct Piece {
    const std::uint8_t* data;  // in the input; null: in copies_
    std::size_t offset;
    std::size_t size;
  };
  void clear();
  void add(ByteView bytes);
  void add_copy(ByteView bytes);

  std::vector<Piece> pieces_;
  ByteBuffer copies_;
};

struct WalkerOptions {
  // Type 0 headers of message stream `from` are given to message stream `to`. Equal: nothing
  // changes.
  std::uint32_t stream_id_from = 0;
  std::uint32_t stream_id_to = 0;
  // Called in passing with each complete command of up to kObservedCommand bytes, as B sent it. Of
  // commands that interleave, the first alone.
  std::function<void(const Message&)> on_command;
};

// Complete messages that went by.
struct WalkerCounters {
  std::uint64_t audio = 0;
  std::uint64_t video = 0;
  std::uint64_t data = 0;
  std::uint64_t commands = 0;
  std::uint64_t control = 0;  // types 1 to 6
  std::uint64_t other = 0;
  std::uint32_t last_audio_ms = 0;
  std::uint32_t last_video_ms = 0;
};

class ChunkWalker {
 public:
  static constexpr std::size_t kObservedCommand = 4096;

  // Goes on where `reader` stopped. A must have been told reader.chunk_size().
  // REQUIRES: reader.at_boundary().
  explicit ChunkWalker(const ChunkReader& reader, WalkerOptions options = {});
  // Begins without history, for instance at the start of a copied piece of a stream log.
  ChunkWalker(const ReaderLimits& limits, std::uint32_t chunk_size, WalkerOptions options = {});

  // Walks over all of `input`, changes stream ids in it, and replaces `out`. Errors as
  // ChunkReader's; then `out` goes up to the offence and the walker is of no use any more.
  Result<void> walk(std::span<std::uint8_t> input, Pieces& out);

  // For who sent A a message of its own on this chunk stream: A's history is no longer B's.
  // REQUIRES: at_boundary().
  void unsync(std::uint32_t chunk_stream);

  // What A was given so far ends with a whole message on every chunk stream, and nothing is held
  // back.
  bool at_boundary() const { return !streams_.any_open() && held_.empty(); }
  std::uint32_t chunk_size() const { return streams_.chunk_size(); }
  void set_message_limit(std::uint32_t bytes) { streams_.set_message_limit(bytes); }
  const WalkerCounters& counters() const { return counters_; }

 private:
  // What A knows of a chunk stream, compared with what B's next header leans on.
  enum class Sync : std::uint8_t { None, NotDelta, Full };

  void send_header(const ChunkHead& head, std::span<std::uint8_t> bytes, Pieces& out);
  void send(ByteView bytes, Pieces& out);
  void observe_start();
  void observe(ByteView bytes);
  Result<void> finish();

  ChunkStreams streams_;
  std::vector<Sync> syncs_;  // beside streams_
  WalkerOptions options_;
  WalkerCounters counters_;
  std::size_t current_ = 0;
  std::uint32_t chunk_left_ = 0;
  HeldHeader held_;
  std::array<std::uint8_t, 4> control_{};  // payload of a SetChunkSize or Abort: always one chunk
  std::optional<std::size_t> command_stream_;
  ByteBuffer command_;
};

}  // namespace weir::rtmp
