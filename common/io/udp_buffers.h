// common/io/udp_buffers.h
// The memory through which all UDP sockets of one loop receive and send, so that a packet on its way
// through costs neither an allocation nor a copy.
//
//     recvmmsg ─► slot slot slot ... ─► received() ─► send() remembers where the bytes lie
//                                                       │ end of the turn, or no free slot
//                                                       ▼
//                                              sendmmsg, then the slots are free again
//
// A slot holds a whole run of packets that the kernel has joined (UDP GRO); sent on to one peer, that
// run leaves as one message that the kernel cuts again (UDP GSO). Runs are made of packets that came
// one by one, too, as long as they go to the same peer and have the same size; packets to other peers
// may come between. What goes to one peer stays in order.
//
// Threading: one loop's; it outlives its sockets.
// Bounds: kSlots runs, kMaxPieces packets and kCopies bytes wait at most; then they are sent first.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/bytes.h"
#include "common/io/udp_pace.h"
#include "common/io/udp_peer.h"

namespace weir {

class UdpSocket;

// What this kernel can do, probed once.
struct UdpOffload {
  bool segmentation = false;  // UDP_SEGMENT
  bool coalescing = false;    // UDP_GRO
  static const UdpOffload& probed();
};

class UdpBuffers final : private TurnEnd {
 public:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kMaxPieces = 512;
  static constexpr std::size_t kCopies = 128 * 1024;
  static constexpr std::size_t kMaxDatagram = 65'535;
  // GSO: what a message of the kernel may hold, and into how many packets it may be cut.
  static constexpr std::size_t kMaxRun = 65'000;
  static constexpr std::size_t kMaxRunPackets = 64;

  explicit UdpBuffers(Loop& loop);
  ~UdpBuffers();

  Loop& loop() const { return loop_; }
  // Sends all that waits.
  void flush();
  // For how long packets wait for company now; see udp_pace.h.
  std::chrono::microseconds window() const { return pace_.window(); }

 private:
  friend class UdpSocket;
  static constexpr std::uint16_t kNone = 0xffff;
  static constexpr std::size_t kRecent = 128;
  // Not a multiple of the page size, so that the first lines of all slots do not share cache sets.
  static constexpr std::size_t kStride = 64 * 1024 + 2112;

  struct Piece {
    iovec bytes;
    std::uint16_t next;
  };
  // One message to the kernel: packets of one size, but for a shorter last one.
  struct Run {
    const UdpSocket* from;
    UdpPeer to;
    std::uint16_t first_piece;
    std::uint16_t last_piece;
    std::uint16_t next;  // of the same socket
    std::uint16_t packets;
    std::uint32_t total;
    std::uint16_t segment;
    bool closed;
  };

  std::span<std::uint8_t> slot(std::size_t index) {
    return {arena_.get() + index * kStride, kMaxDatagram};
  }
  bool in_slots(const std::uint8_t* at) const {
    return at >= arena_.get() && at < arena_.get() + kSlots * kStride;
  }
  // Where the newest run to that peer is remembered, until another that falls there replaces it.
  std::uint16_t& recent_of(const UdpPeer& to) {
    return recent_[AddressHash()(to.address) % kRecent];
  }
  // How many slots from used_slots_ on may be received into; at least one.
  std::size_t free_slots();
  // Bytes that live until the next flush.
  ByteView keep(ByteView bytes);
  void turn_ended() override;

  Loop& loop_;
  UdpPace pace_;
  std::unique_ptr<std::uint8_t[]> arena_;
  std::unique_ptr<std::uint8_t[]> copies_;
  std::size_t used_slots_ = 0;
  std::size_t used_copies_ = 0;
  std::vector<Piece> pieces_;
  std::vector<Run> runs_;
  std::array<std::uint16_t, kRecent> recent_;
  std::vector<UdpSocket*> waiting_;  // with runs to send
  std::vector<UdpSocket*> refused_;  // to be told so
};

}  // namespace weir
