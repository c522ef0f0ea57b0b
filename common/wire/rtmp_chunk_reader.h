// common/wire/rtmp_chunk_reader.h
// Incoming chunk stream to messages (RTMP 1.0 section 5.3). What it accepts: rtmp_chunk_header.h.
//
// SetChunkSize and Abort take effect inside; they are returned like every other message, and so are
// empty messages. A message that lies in one piece in the input is returned as a view into the
// input, uncopied.
//
// Threading: one loop's. Bounds: ReaderLimits. Buffers grow with the bytes that came, never with
// the length a header claims; what a finished message needed beyond kIdleBuffer a chunk stream goes
// back at the next call. At rest a reader is its own size, below 200 bytes, and the table of its
// chunk streams.
#pragma once

#include "common/wire/rtmp_chunk_header.h"

namespace weir::rtmp {

class ChunkReader {
 public:
  static constexpr std::size_t kIdleBuffer = 4096;

  explicit ChunkReader(const ReaderLimits& limits = {}) : streams_(limits) {}

  // Takes from the front of `input` until one message is complete, or all of it (nullopt). The
  // payload holds until the next call and as long as the input's bytes do. Errors: Protocol, Limit;
  // the reader is of no use after one.
  Result<std::optional<Message>> next(ByteView& input);

  // Holds for messages that begin from now on.
  void set_message_limit(std::uint32_t bytes) { streams_.set_message_limit(bytes); }

  // No message and no header is half read: here the connection may change hands.
  bool at_boundary() const { return !streams_.any_open() && held_.empty(); }
  std::uint32_t chunk_size() const { return streams_.chunk_size(); }
  const ChunkStreams& streams() const { return streams_; }
  std::size_t memory() const;  // on the heap, in bytes

 private:
  void release_idle_buffers();
  void append(std::size_t stream, ByteView bytes);
  Result<std::optional<Message>> finish(ByteView payload);

  ChunkStreams streams_;
  std::vector<ByteBuffer> partials_;  // beside streams_, as far as needed so far
  std::size_t current_ = 0;           // the chunk stream of the chunk being read
  std::uint32_t chunk_left_ = 0;      // payload bytes of it yet to come; 0: a header is next
  bool buffers_may_be_idle_ = false;
  HeldHeader held_;
};

}  // namespace weir::rtmp
