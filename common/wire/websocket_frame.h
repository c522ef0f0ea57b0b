// common/wire/websocket_frame.h
// WebSocket frames (RFC 6455 section 5), as a server of live media has them: writes whole messages
// of any size, reads what viewers say.
//
//     server  │ fin+opcode │ length 1, 3 or 9 │ payload │              never masked: the same bytes
//     client  │ fin+opcode │ length │ mask 4 │ payload xor mask │      go to every viewer
//
// Threading: plain values, each used by one thread at a time. Bounds: a FrameReader keeps one
// control frame, 125 bytes; data is passed over and not kept.
#pragma once

#include <array>
#include <optional>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::websocket {

enum class Opcode : std::uint8_t {
  Continuation = 0,
  Text = 1,
  Binary = 2,
  Close = 8,
  Ping = 9,
  Pong = 10
};

// Why a connection ends, section 7.4.1.
enum class CloseCode : std::uint16_t {
  Normal = 1000,
  GoingAway = 1001,
  ProtocolError = 1002,
  TooBig = 1009,
};

inline constexpr std::size_t kMaxControl = 125;

constexpr std::size_t header_size(std::size_t payload) {
  return payload < 126 ? 2 : payload < 65536 ? 4 : 10;
}
// Of a message in one frame; returns the byte after it. REQUIRES: room for header_size().
std::uint8_t* write_header(std::uint8_t* out, Opcode opcode, std::size_t payload);

void append_frame(ByteBuffer& out, Opcode opcode, ByteView payload);
void append_close(ByteBuffer& out, CloseCode code);

struct ControlFrame {
  Opcode opcode = Opcode::Close;
  ByteView payload;
};

// The control frames of a client, which may stand inside of its messages. Strict, as section 5
// demands of servers: masks, reserved bits and opcodes, shortest lengths, the order of fragments.
class FrameReader {
 public:
  static constexpr std::size_t kMaxMessage = 64 * 1024;

  // Takes from `input` until a control frame is whole. Its payload, unmasked, holds until the next
  // call. Errors: Protocol; Limit for a longer message, of which viewers have no need. Every call
  // after one fails again.
  Result<std::optional<ControlFrame>> next(ByteView& input);

 private:
  bool fill(ByteView& input, std::size_t size);
  bool is_control() const { return (header_[0] & 0x08) != 0; }
  Result<void> check_start();
  Result<void> check_length();
  void take_payload(ByteView& input);

  std::array<std::uint8_t, 14> header_;
  std::size_t header_have_ = 0;
  bool in_payload_ = false;
  std::uint64_t left_ = 0;          // of the payload
  bool in_message_ = false;         // fragments are to follow
  std::uint64_t message_size_ = 0;  // of its fragments so far
  std::array<std::uint8_t, kMaxControl> control_;
  std::size_t control_size_ = 0;
};

}  // namespace weir::websocket
