// common/io/packet_pass.h
// Datagrams that one process has received and another one has to have: while an upgrade drains, both
// processes hold the UDP ports, only the new one reads them, and it passes on what is of no session
// of its own. The other answers through the port itself.
//
//     client ─► port ─► new process ─► its session
//                            └─ of none ─► PacketPass ─► old process ─► its session ─► port ─► client
//
// Threading: its loop's. Bounds: the kernel's queue of a local socket; what finds no room is dropped,
// as a network would.
#pragma once

#include <functional>
#include <utility>

#include "common/bytes.h"
#include "common/error.h"
#include "common/io/loop.h"
#include "common/io/udp_peer.h"

namespace weir {

class PacketPass final : private Watcher {
 public:
  enum class Port : std::uint8_t { Webrtc, Srt };
  using Received =
      std::function<void(Port port, const UdpPeer& from, std::span<std::uint8_t> packet)>;

  // Both ends, for two processes. Errors: System.
  static Result<std::pair<int, int>> open();

  // Takes over the descriptor. `received` may be null: nothing is expected. REQUIRES: made on the
  // loop's thread.
  PacketPass(Loop& loop, int fd, Received received);
  ~PacketPass();
  PacketPass(const PacketPass&) = delete;
  PacketPass& operator=(const PacketPass&) = delete;

  // False: nobody is there, or has room.
  bool pass(Port port, const UdpPeer& from, ByteView packet);

 private:
  void on_ready(std::uint32_t events) override;

  Loop& loop_;
  const int fd_;
  const Received received_;
  bool open_ = true;
};

}  // namespace weir
