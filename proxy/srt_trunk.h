// proxy/srt_trunk.h
// One UDP socket towards an SRT origin that many sessions share: SRT tells connections apart by socket
// id, so what comes from the origin says whose it is, and origins take any number of connections from
// one port.
//
//     session 17 ─┐                                 ┌─ for 17 ─► session 17
//     session 23 ─┼─► one socket ◄══════► origin ───┼─ for 23 ─► session 23
//     session 42 ─┘                                 └─ for 42 ─► session 42
//
// Why shared: a loop's packets for an origin then come and leave by the batch, whoever's they are. With
// a socket each, a hundred publishers that send one packet each cost two hundred system calls.
//
// A trunk carries an id once in its life, so that nothing said to a session that has ended reaches
// another. Clients choose their ids: who chooses one that was used gets another trunk.
//
// Threading: one loop's. Bounds: kMaxSessions at a time, so that the origin's kernel can still spread a
// proxy's sessions over its own sockets and cores; kMaxIds in its life.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "common/io/udp_socket.h"

namespace weir {

class SrtSession;
class SrtTrunks;

class SrtTrunk final : public std::enable_shared_from_this<SrtTrunk>, private UdpHandler {
 public:
  static constexpr std::size_t kMaxSessions = 64;
  static constexpr std::size_t kMaxIds = 4096;

  // Takes over the descriptor, of a socket that is connected to `origin`.
  SrtTrunk(SrtTrunks& all, UdpBuffers& buffers, int fd, const Address& origin);
  ~SrtTrunk();

  void send(ByteView packet) { socket_.send(packet); }
  // To be duplicated; see srt_handover.h.
  int fd() const { return socket_.fd(); }
  // No packet reaches that session after this.
  void leave(std::uint32_t id);

 private:
  friend class SrtTrunks;
  bool has_room_for(std::uint32_t id) const;
  void join(std::uint32_t id, SrtSession& session);
  SrtSession* find(std::uint32_t id);
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override;
  void refused() override;

  SrtTrunks& all_;
  const Address origin_;
  std::unordered_map<std::uint32_t, SrtSession*> sessions_;  // null: has left
  std::size_t present_ = 0;
  std::uint32_t last_id_ = 0;  // packets come in runs
  SrtSession* last_ = nullptr;
  UdpSocket socket_;
};

// Those of one loop. A trunk lives as long as sessions hold it.
class SrtTrunks {
 public:
  explicit SrtTrunks(UdpBuffers& buffers) : buffers_(buffers) {}

  // One on which packets for `id` are that session's, until it leaves. Errors: as UdpSocket::connect.
  Result<std::shared_ptr<SrtTrunk>> join(const Address& origin, std::uint32_t id,
                                         SrtSession& session);

 private:
  friend class SrtTrunk;

  UdpBuffers& buffers_;
  std::unordered_map<Address, std::vector<SrtTrunk*>, AddressHash, AddressEqual> to_;
};

}  // namespace weir
