// common/wire/rtmp_chunk_writer.h
// Messages to outgoing chunks (RTMP 1.0 sections 5.3 and 5.4).
//
// Every message begins with a type 0 header, its timestamp absolute, and goes on with type 3.
// Shorter headers would save at most 11 bytes a message and would need to know what the peer was
// sent before; like this the same bytes serve every viewer, whenever it joins.
//
// Threading: none of its own. Bounds: output is the payload and at most 18 bytes a chunk.
#pragma once

#include "common/bytes.h"
#include "common/wire/rtmp_message.h"

namespace weir::rtmp {

// Bytes that encode() writes for such a message. REQUIRES: chunk_size > 0, here and below.
std::size_t encoded_size(std::uint32_t length, std::uint32_t timestamp_ms,
                         std::uint32_t chunk_stream, std::uint32_t chunk_size);

// Writes one message, returns the byte after it; allocates nothing. The length is that of
// `payload`, whatever the header says. REQUIRES: encoded_size() bytes at `out`; csid 2 to 65599;
// less than 2^24 bytes of payload.
std::uint8_t* encode(std::uint8_t* out, const MessageHeader& header, ByteView payload,
                     std::uint32_t chunk_size);

// One direction of one connection: remembers the chunk size.
class ChunkWriter {
 public:
  void append(ByteBuffer& out, const MessageHeader& header, ByteView payload) const;
  // Announces the size and uses it from the next message on.
  void set_chunk_size(ByteBuffer& out, std::uint32_t bytes);
  std::uint32_t chunk_size() const { return chunk_size_; }

 private:
  std::uint32_t chunk_size_ = kInitialChunkSize;
};

// Protocol control messages (RTMP 5.4, 7.1.7), on csid 2 and message stream 0, at time 0. All are
// shorter than the smallest chunk, so they fit whatever the chunk size is.
enum class PeerBandwidth : std::uint8_t { Hard = 0, Soft = 1, Dynamic = 2 };

void append_set_chunk_size(ByteBuffer& out, std::uint32_t bytes);
void append_abort(ByteBuffer& out, std::uint32_t chunk_stream);
void append_acknowledgement(ByteBuffer& out, std::uint32_t bytes_received);
void append_window_ack_size(ByteBuffer& out, std::uint32_t bytes);
void append_set_peer_bandwidth(ByteBuffer& out, std::uint32_t bytes, PeerBandwidth kind);
// StreamBegin, StreamEof...: a stream id. PingRequest and PingResponse: a timestamp.
void append_user_control(ByteBuffer& out, Event event, std::uint32_t value);
void append_set_buffer_length(ByteBuffer& out, std::uint32_t stream_id, std::uint32_t buffer_ms);

}  // namespace weir::rtmp
