// common/wire/rtmp_message.h
// One RTMP message, and the numbers that name its kinds (RTMP 1.0 sections 5.4, 6.2, 7.1).
#pragma once

#include "common/bytes.h"

namespace weir::rtmp {

enum class Type : std::uint8_t {
  SetChunkSize = 1,
  Abort = 2,
  Acknowledgement = 3,
  UserControl = 4,
  WindowAckSize = 5,
  SetPeerBandwidth = 6,
  Audio = 8,
  Video = 9,
  DataAmf3 = 15,
  SharedObjectAmf3 = 16,
  CommandAmf3 = 17,
  DataAmf0 = 18,
  SharedObjectAmf0 = 19,
  CommandAmf0 = 20,
  Aggregate = 22,
};

// RTMP 7.1.7
enum class Event : std::uint16_t {
  StreamBegin = 0,
  StreamEof = 1,
  StreamDry = 2,
  SetBufferLength = 3,
  StreamIsRecorded = 4,
  PingRequest = 6,
  PingResponse = 7,
};

struct MessageHeader {
  std::uint32_t chunk_stream = 0;  // csid, 2 to 65599
  std::uint32_t timestamp_ms = 0;  // absolute, wraps at 2^32
  std::uint32_t length = 0;        // of the payload, at most 2^24-1
  std::uint32_t stream_id = 0;     // message stream id, little-endian on the wire
  Type type = Type::SetChunkSize;
  friend bool operator==(const MessageHeader&, const MessageHeader&) = default;
};

// The payload belongs to whoever produced the message and holds until its next call.
struct Message {
  MessageHeader header;
  ByteView payload;
};

// Chunk streams and chunk size that weir uses for what it writes itself.
inline constexpr std::uint32_t kControlChunkStream = 2;  // RTMP 5.4: protocol control messages
inline constexpr std::uint32_t kCommandChunkStream = 3;
inline constexpr std::uint32_t kAudioChunkStream = 4;
inline constexpr std::uint32_t kDataChunkStream = 5;
inline constexpr std::uint32_t kVideoChunkStream = 6;
inline constexpr std::uint32_t kInitialChunkSize = 128;  // RTMP 5.4.1
inline constexpr std::uint32_t kOutChunkSize = 60000;    // what players have long met from SRS
inline constexpr std::uint32_t kMediaStreamId = 1;       // every createStream is answered with it

}  // namespace weir::rtmp
