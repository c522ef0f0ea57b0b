// common/wire/srt.h
// SRT packets, as far as who relays them must know them: which connection a packet is for, and the
// handshake that opens one (draft-sharabayko-srt sections 3 and 4.3).
//
//     0      1 is_control, type 15, subtype 16 │ data: 0, sequence number 31
//     4      type-specific information         │ data: message number and flags
//     8      timestamp, microseconds
//     12     destination socket id, 0 in the handshake's requests
//     16     payload; of a handshake:
//            version 4, encryption 2, extension 2, initial sequence 4, MTU 4, window 4,
//            type 4, socket id 4, cookie 4, peer address 16, extensions
//
// A caller says INDUCTION, gets a cookie, and says it again in CONCLUSION with its extensions: what
// it can do (HSREQ), its keys (KMREQ), which stream it wants (SID). The CONCLUSION that answers
// grants, or its type is a rejection's code.
//
// Who relays a handshake overwrites single fields of it, so that unknown extensions arrive too.
//
// Threading: values and pure functions. Bounds: a Handshake refers to the packet it was read from;
// a streamid has at most kMaxStreamId bytes.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::srt {

inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kHandshakeSize = kHeaderSize + 48;  // without extensions
inline constexpr std::size_t kShutdownSize = kHeaderSize + 4;
inline constexpr std::size_t kMaxStreamId = 512;

// Section 3.2, table 1: those looked at.
enum class ControlType : std::uint16_t {
  Handshake = 0,
  KeepAlive = 1,
  Ack = 2,
  Nak = 3,
  Shutdown = 5,
  AckAck = 6,
};

// REQUIRES of all: kHeaderSize bytes.
std::optional<ControlType> control_type(ByteView packet);  // none: a data packet
inline std::uint32_t timestamp(ByteView packet) { return load_be32(packet.data() + 8); }
inline std::uint32_t destination(ByteView packet) { return load_be32(packet.data() + 12); }

// Section 3.2.1, table 4; from kRejected up to the half each is a rejection.
namespace handshake_type {
inline constexpr std::uint32_t kInduction = 1;
inline constexpr std::uint32_t kRejected = 1000;
inline constexpr std::uint32_t kConclusion = 0xffffffff;
}  // namespace handshake_type

inline constexpr std::uint32_t kVersion4 = 4, kVersion5 = 5;
inline constexpr std::uint16_t kMagic = 0x4a17;  // `extension` of an INDUCTION's answer
inline constexpr std::uint16_t kDatagram = 2;    // and of the INDUCTION itself

// Table 5.
enum class ExtensionType : std::uint16_t { HsReq = 1, HsRsp, KmReq, KmRsp, StreamId, Congestion };

// Why a connection is refused: libsrt's own reasons, and from 1000 on those of its access control.
enum class Rejection : std::uint32_t {
  Resource = 3,
  Backlog = 5,
  Close = 7,
  Version = 8,
  BadRequest = 1400,
  Unauthorized = 1401,
  Forbidden = 1403,
  NotFound = 1404,
};

struct Handshake {
  std::uint32_t destination = 0;
  std::uint32_t version = kVersion5;
  std::uint16_t encryption = 0;
  std::uint16_t extension = 0;
  std::uint32_t initial_sequence = 0;
  std::uint32_t mtu = 1500;
  std::uint32_t window = 8192;
  std::uint32_t type = handshake_type::kInduction;
  std::uint32_t socket_id = 0;
  std::uint32_t cookie = 0;
  std::array<std::uint8_t, 16> peer{};
  ByteView extensions{};  // of a version 5 CONCLUSION; empty in all others

  std::optional<Rejection> rejection() const;
};

// What follows the fixed part of other types than CONCLUSION is ignored. Errors: Protocol for any
// other packet, and for one cut short anywhere.
Result<Handshake> parse_handshake(ByteView packet);
ByteBuffer write(const Handshake& handshake);

struct Extension {
  ExtensionType type;
  ByteView content;
};
// Takes the next one; none at the end. REQUIRES: the rest of what parse_handshake() gave.
std::optional<Extension> next_extension(ByteView& extensions);

// The SID extension as text; empty when there is none. Each word of four bytes stands in it
// reversed, filled up with zeros (section 3.2.1.3). Errors: Protocol for a NUL inside, Limit.
Result<std::string> stream_id(const Handshake& handshake);
void append_stream_id(ByteBuffer& extensions, std::string_view text);

// In a handshake, in place. REQUIRES: parse_handshake() took the packet.
void set_timestamp(std::span<std::uint8_t> packet, std::uint32_t microseconds);
void set_cookie(std::span<std::uint8_t> packet, std::uint32_t cookie);
void set_peer(std::span<std::uint8_t> packet, const std::array<std::uint8_t, 16>& peer);
// The field for an address of 4 or 16 bytes in network order: each word of it is reversed.
std::array<std::uint8_t, 16> peer_field(ByteView address);
// A SHUTDOWN for the socket (section 3.2.7).
std::array<std::uint8_t, kShutdownSize> shutdown_packet(std::uint32_t destination);

}  // namespace weir::srt
