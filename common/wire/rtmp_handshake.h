// common/wire/rtmp_handshake.h
// The RTMP handshake of both sides, without a socket: feed() what came, send what output() holds.
//
//     client                                server
//       C0 C1 ──────────────────────────────►  as soon as C1 is whole:
//             ◄────────────────────────── S0 S1 S2
//       C2    ──────────────────────────────►  done
//      done
//
// Two kinds. Plain is RTMP 1.0 section 5.2. Digest is what Flash players and media servers made of
// it, never published by its makers: C1 and S1 hide an HMAC-SHA256 of themselves, keyed by
// well-known words, at a place computed from four of their own bytes, which stand in the first or
// in the second half (the two schemes). A server answers in kind; what is no valid digest is plain.
// Neither proves who the peer is: the words are public. RTMPE, which encrypts behind version 6, is
// refused.
//
// C2 and S2 are taken whatever they hold, since real peers send much there.
//
// Threading: one object by one thread. Short-lived: let go of it once done.
// Bounds: at most 1536 bytes of the peer are held.
#pragma once

#include <cstdint>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::rtmp {

inline constexpr std::size_t kHandshakeSize = 1536;  // of each of C1, S1, C2, S2
inline constexpr std::uint8_t kHandshakeVersion = 3;

enum class HandshakeKind : std::uint8_t { Plain, DigestFirst, DigestSecond };

class ServerHandshake {
 public:
  // Takes what belongs to the handshake and leaves the rest in `input`. Error: Protocol, after
  // which the connection is good for nothing.
  Result<void> feed(ByteView& input);
  // Bytes to send; the caller clears it.
  ByteBuffer& output() { return output_; }
  bool done() const { return step_ == Step::Done; }
  // REQUIRES: S1 has been put out.
  HandshakeKind kind() const { return kind_; }

 private:
  enum class Step : std::uint8_t { C0, C1, C2, Done };

  void answer();

  Step step_ = Step::C0;
  HandshakeKind kind_ = HandshakeKind::Plain;
  ByteBuffer output_;
  ByteBuffer c1_;
  std::size_t c2_size_ = 0;
};

class ClientHandshake {
 public:
  // Puts C0 and C1 into output() at once. A digest is understood by servers that want one and looks
  // like plain randomness to the others.
  explicit ClientHandshake(HandshakeKind kind = HandshakeKind::DigestFirst);

  // As ServerHandshake's.
  Result<void> feed(ByteView& input);
  ByteBuffer& output() { return output_; }
  bool done() const { return step_ == Step::Done; }
  // Whether the server answered with a digest of its own. REQUIRES: done().
  bool digest_answered() const { return digest_answered_; }

 private:
  enum class Step : std::uint8_t { S0, S1, S2, Done };

  void answer();

  Step step_ = Step::S0;
  bool sent_digest_;
  bool digest_answered_ = false;
  ByteBuffer output_;
  ByteBuffer s1_;
  std::size_t s2_size_ = 0;
};

}  // namespace weir::rtmp
