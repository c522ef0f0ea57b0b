// common/io/pump.h
// Moves bytes from one socket to another as they come, for what a plain TCP proxy
// would cost: one receive and one send each time the sender had something, into and out of the
// loop's scratch memory.
//
// A receiver that takes less than it was given is waited for, and nothing more is read meanwhile:
// the kernel's buffers fill, and the sender slows down. So a pump holds nothing, or at most what
// one receive gave.
//
// A pump watches the side it waits for. A receiver that goes while the sender is silent is noticed
// by whoever reads from it: relay_both(), or http::Connection::close_when_gone().
//
// Threading: one loop's, to which both sockets belong and outlive the pump. To stop one: close a
// socket, and wait for the pump's end before either is destroyed.
// Bounds: kPiece bytes.
#pragma once

#include "common/io/socket.h"

namespace weir {

class Tally;

// Finds the end of a message in the bytes that pass.
class PumpExtent {
 public:
  // How many bytes may be received without more than need be of what comes after the end. At least
  // 1 before it.
  virtual std::size_t room(std::size_t most) const = 0;
  // How many of the next bytes belong to the message, counted from their front. An error ends the
  // pump.
  virtual Result<std::size_t> take(ByteView bytes) = 0;
  virtual bool ended() const = 0;
  // The sender has ended the connection: whether that is the message's proper end.
  virtual bool closed() = 0;

 protected:
  ~PumpExtent() = default;
};

struct PumpOptions {
  milliseconds idle{0};          // the sender may be silent for so long; 0: for ever
  milliseconds stall{10'000};    // the receiver may take nothing for so long
  PumpExtent* extent = nullptr;  // without one, until the sender's end
  Tally* tally = nullptr;        // of the bytes sent
};

struct PumpEnd {
  enum class Side { From, To };
  bool complete = false;   // all came that was to come, and all was sent
  Side side = Side::From;  // who ended it
  Error why;
  std::uint64_t bytes = 0;  // sent
  ByteBuffer excess;        // received beyond the extent's end
};

inline constexpr std::size_t kPumpPiece = 64 * 1024;

// Leaves both sockets open.
Task<PumpEnd> pump(Socket& from, Socket& to, PumpOptions options);

// Closes sockets when its time comes, which ends whatever waits on them.
class Cutoff final : private Timer {
 public:
  Cutoff(Socket& one, Socket& other) : one_(one), other_(other) {}
  void after(milliseconds patience) {
    if (!armed()) one_.loop().arm(*this, one_.loop().in(patience));
  }
  void now() { expired(); }

 private:
  void expired() override {
    one_.close();
    other_.close();
  }
  Socket& one_;
  Socket& other_;
};

struct RelayOptions {
  milliseconds stall{10'000};
  milliseconds linger{1000};  // for the other direction, once one has ended
  Tally* a_to_b = nullptr;
  Tally* b_to_a = nullptr;
};

struct RelayEnd {
  PumpEnd a_to_b;
  PumpEnd b_to_a;
  bool a_ended_it = false;  // else b did
};

// Both directions until both have ended. The end of one is passed on as a half-close, and the other
// may go on for `linger`; a broken connection ends both at once. The sockets may be closed
// afterwards.
Task<RelayEnd> relay_both(Socket& a, Socket& b, RelayOptions options);

// Sends our end, then drops what the peer still sends until its own end, or the deadline: bytes
// under way to a closed socket would make the kernel take our last words back (RFC 9112 9.6).
Task<void> part(Socket& from, Deadline deadline);

}  // namespace weir
