// common/wire/rtmp_chunk_header.h
// Chunk headers (RTMP 1.0 section 5.3.1), and what a receiver must remember to read the next one.
//
//     basic header      message header                        extended timestamp   payload
//     [fmt|csid 1-3 B]  [time 3][length 3][type 1][stream 4]  [0 or 4 B]           [<= chunk size]
//                        fmt 0: all  fmt 1: 7  fmt 2: 3  fmt 3: none
//
// Reader and walker share this: what a proxy passes on unread means to it what it means to a
// reader. Where peers disagree, weir does so:
// - Extended timestamp of a type 3 header: some repeat it (section 5.3.1.3), some do not. The four
//   bytes belong to the header if they equal the earlier header's, else to the payload.
// - Type 1 on a fresh chunk stream: librtmp opens with such a ping. It counts from zero. Types 2
// and
//   3 there have no length: Protocol.
// - Type 0, 1 or 2 inside a message: Protocol. ffmpeg and SRS go on, librtmp starts afresh, so no
//   sender can mean anything by it, and guessing would let one message be read as two.
// - SetChunkSize and Abort carry four bytes and nothing else: Protocol otherwise.
//
// Threading: none of its own. Bounds: ReaderLimits; about 40 bytes a chunk stream.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"
#include "common/wire/rtmp_message.h"

namespace weir::rtmp {

inline constexpr std::uint32_t kMinChunkSize = 128;              // SRS and Red5 refuse less too
inline constexpr std::uint32_t kExtendedTimestamp = 0xFFFFFF;    // RTMP 5.3.1.3
inline constexpr std::uint32_t kCommandMessageLimit = 64 << 10;  // until identified
inline constexpr std::uint32_t kMediaMessageLimit = 8 << 20;
inline constexpr std::size_t kMaxChunkHeader = 3 + 11 + 4;

struct ReaderLimits {
  std::uint32_t chunk_size = 1 << 20;
  std::uint32_t message = kCommandMessageLimit;
  std::uint32_t chunk_streams = 32;
};

// What the newest header of one chunk stream left behind.
struct ChunkStream {
  MessageHeader header;
  std::uint32_t timestamp_field = 0;  // as sent, absolute or delta: what a type 3 adds
  std::uint32_t received = 0;         // payload bytes of the open message
  bool extended = false;              // timestamp_field was sent in four bytes
  bool open = false;                  // a message has begun and is not complete
};

struct ChunkHead {
  std::size_t stream = 0;     // index for ChunkStreams
  std::uint32_t payload = 0;  // bytes of payload that follow in this chunk
  std::uint8_t size = 0;      // of the whole header
  std::uint8_t basic_size = 0;
  std::uint8_t format = 0;
  bool starts_message = false;
  bool carries_extended = false;
};

// All chunk streams of one direction of one connection.
class ChunkStreams {
 public:
  explicit ChunkStreams(const ReaderLimits& limits, std::uint32_t chunk_size = kInitialChunkSize)
      : limits_(limits), chunk_size_(chunk_size) {}

  // Understands the header at the start of `input`, or nullopt, changing nothing, where it is not
  // all there. REQUIRES: the payload of the chunk before was reported through advance().
  Result<std::optional<ChunkHead>> read(ByteView input);
  // `bytes` of payload came. True: the message is complete.
  bool advance(std::size_t stream, std::uint32_t bytes);
  // SetChunkSize and Abort (RTMP 5.4.1, 5.4.2) take effect. Any other message changes nothing.
  Result<void> apply(const Message& message);

  const ChunkStream& operator[](std::size_t stream) const { return streams_[stream]; }
  std::size_t size() const { return streams_.size(); }
  std::size_t find(std::uint32_t chunk_stream) const;  // size() if unknown
  bool any_open() const { return open_ > 0; }
  std::uint32_t chunk_size() const { return chunk_size_; }
  void set_message_limit(std::uint32_t bytes) { limits_.message = bytes; }
  std::size_t memory() const { return streams_.capacity() * sizeof(ChunkStream); }

 private:
  std::vector<ChunkStream> streams_;
  ReaderLimits limits_;
  std::uint32_t chunk_size_;
  std::uint32_t open_ = 0;
};

// A header that the end of the input cut. Its rest is read beside it until it is whole.
class HeldHeader {
 public:
  bool empty() const { return size_ == 0; }
  // What is to be read now: `input`, or the held bytes with as much of `input` behind them as fits
  // (`with_input`).
  template <class Span>
  Span window(Span input, bool with_input) {
    if (empty()) return input;
    const std::size_t more =
        with_input ? std::min<std::size_t>(input.size(), bytes_.size() - size_) : 0;
    std::copy_n(input.begin(), more, bytes_.begin() + size_);
    return Span(bytes_).first(size_ + more);
  }
  // Takes `count` bytes of the window away.
  template <class Span>
  void consume(Span& input, std::size_t count) {
    const std::size_t own = std::min<std::size_t>(count, size_);
    std::copy(bytes_.begin() + own, bytes_.begin() + size_, bytes_.begin());
    size_ = static_cast<std::uint8_t>(size_ - own);
    input = input.subspan(count - own);
  }
  // Keeps all of `input`. REQUIRES: it fits, because a header of at most kMaxChunkHeader bytes
  // wants more.
  template <class Span>
  void hold(Span& input) {
    std::copy(input.begin(), input.end(), bytes_.begin() + size_);
    size_ = static_cast<std::uint8_t>(size_ + input.size());
    input = {};
  }

 private:
  std::array<std::uint8_t, kMaxChunkHeader> bytes_{};
  std::uint8_t size_ = 0;
};

// Writes a header of `format` whose timestamp field is `timestamp`. REQUIRES: room for
// kMaxChunkHeader.
std::uint8_t* store_chunk_header(std::uint8_t* out, unsigned format, const MessageHeader& header,
                                 std::uint32_t timestamp, bool extended);

}  // namespace weir::rtmp
