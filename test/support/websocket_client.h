// test/support/websocket_client.h
// The far end of a WebSocket: frames as clients send them, and what a server's frames carry.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"

namespace weir::test {

// Masked. `first` is the first byte: 0x80 for the last fragment, and the opcode.
inline ByteBuffer client_frame(int first, std::string_view payload) {
  constexpr std::uint8_t kMask[] = {0x37, 0xfa, 0x21, 0x3d};
  ByteBuffer out{static_cast<std::uint8_t>(first)};
  if (payload.size() < 126) {
    out.push_back(static_cast<std::uint8_t>(0x80 | payload.size()));
  } else if (payload.size() < 65536) {
    out.resize(4);
    out[1] = 0x80 | 126;
    store_be16(out.data() + 2, static_cast<std::uint32_t>(payload.size()));
  } else {
    out.resize(10);
    out[1] = 0x80 | 127;
    store_be64(out.data() + 2, payload.size());
  }
  append(out, kMask);
  for (std::size_t i = 0; i < payload.size(); ++i)
    out.push_back(static_cast<std::uint8_t>(payload[i] ^ kMask[i % 4]));
  return out;
}

struct ServerFrame {
  int opcode;
  ByteBuffer payload;
};

// The whole frames in `stream`; each is a message of its own.
inline std::vector<ServerFrame> server_frames(ByteView stream) {
  std::vector<ServerFrame> frames;
  while (stream.size() >= 2) {
    INVARIANT((stream[0] & 0xf0) == 0x80 && (stream[1] & 0x80) == 0);
    std::size_t header = 2;
    std::uint64_t size = stream[1];
    if (size >= 126) {
      header = size == 126 ? 4 : 10;
      if (stream.size() < header) break;
      size = header == 4 ? load_be16(stream.data() + 2) : load_be64(stream.data() + 2);
    }
    if (stream.size() - header < size) break;
    const ByteView payload = stream.subspan(header, size);
    frames.push_back({stream[0] & 0x0f, ByteBuffer(payload.begin(), payload.end())});
    stream = stream.subspan(header + size);
  }
  return frames;
}

// What the binary messages carry, in a row.
inline ByteBuffer binary_of(ByteView stream) {
  ByteBuffer out;
  for (const auto& frame : server_frames(stream))
    if (frame.opcode == 2) append(out, frame.payload);
  return out;
}

}  // namespace weir::test
