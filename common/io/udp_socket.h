// common/io/udp_socket.h
// A UDP socket of one loop: datagrams come as calls, in batches; what is sent leaves in batches.
//
//     UdpSocket port(buffers, *UdpSocket::open(at), handler);      // every loop its own, one port
//     UdpSocket session(buffers, *UdpSocket::connect(to), handler);  // towards one peer
//
// Sending never waits. When the kernel takes no more, packets queue up to kMaxBacklog and then are
// dropped and counted: late media is worth less than new.
//
// Threading: the buffers' loop. A handler may send, and may destroy any socket, itself included.
// Bounds: kMaxBacklog bytes a socket; kBatches batches of packets a turn.
#pragma once

#include <array>
#include <deque>

#include "common/io/udp_buffers.h"

namespace weir {

class UdpHandler {
 public:
  // The bytes may be written to, and last until this turn ends.
  virtual void received(const UdpPeer& from, std::span<std::uint8_t> packet) = 0;
  // Of a connected socket: nobody listens there (ICMP port unreachable).
  virtual void refused() {}

 protected:
  ~UdpHandler() = default;
};

class UdpSocket final : private Watcher {
 public:
  static constexpr std::size_t kMaxBacklog = 256 * 1024;
  static constexpr int kBatches = 4;
  static constexpr std::size_t kBatch = 32;
  // Of the kernel's, if it grants that much: a port is everybody's, so it has to outlast a pause of this
  // process for all of them. 16 MiB are some 7,000 packets, for the kernel counts what they occupy.
  static constexpr int kPortBuffer = 16 * 1024 * 1024;
  static constexpr int kBuffer = 4 * 1024 * 1024;

  // Binds; for an IPv6 wildcard address on IPv4 too. Errors: System, with the address in the text.
  enum class Sharing { Port, Alone };  // among the loops; or nobody else may have the port
  static Result<int> open(const Address& at, Sharing sharing = Sharing::Port);
  // A socket that hears from `to` alone. Errors: Refused, System.
  static Result<int> connect(const Address& to);

  // Takes over the descriptor. REQUIRES: made on the loop's thread.
  UdpSocket(UdpBuffers& buffers, int fd, UdpHandler& handler);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  int fd() const { return fd_; }
  Address local() const { return Address::of_socket(fd_); }

  // From here on it only sends: another process reads the port.
  void stop_receiving();

  // Leaves at the end of this turn. Bytes that were received in it are not copied.
  void send(const UdpPeer& to, ByteView packet);
  // To the peer of a connected socket.
  void send(ByteView packet) { send(UdpPeer{}, packet); }

  // Packets that the kernel did not take and that found no room.
  std::uint64_t dropped() const { return dropped_; }

 private:
  friend class UdpBuffers;
  struct Kept {
    UdpPeer to;
    ByteBuffer packet;
  };
  enum class Sent { Done, Blocked };

  std::uint32_t interest() const { return receives_ ? std::uint32_t{EPOLLIN} : 0U; }
  void on_ready(std::uint32_t events) override;
  void receive();
  bool receive_batch(const bool& gone);
  void flush();
  bool send_alone(const UdpBuffers::Run& run) const;
  Sent send_runs(std::uint16_t& run);
  bool recover(std::uint16_t& run, int error);
  template <class Use>
  void for_each_packet(const UdpBuffers::Run& run, Use use) const;
  void send_singly(std::uint16_t run);
  void keep_rest(std::uint16_t run);
  void queue(const UdpPeer& to, ByteView packet);
  void send_backlog();
  void report_refused();
  bool transmit(const UdpPeer& to, ByteView packet, int& error) const;
  bool extend_run(std::uint16_t at, const UdpPeer& to, ByteView packet);

  UdpBuffers& buffers_;
  UdpHandler& handler_;
  int fd_;
  const bool v6_;
  bool receives_ = true;
  bool segments_ = UdpOffload::probed().segmentation;
  // Outlives this for who receives: a handler may destroy the socket whose packet it was given.
  std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);
  std::uint16_t first_run_ = UdpBuffers::kNone;
  std::uint16_t last_run_ = UdpBuffers::kNone;
  std::deque<Kept> backlog_;
  std::size_t backlog_bytes_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace weir
