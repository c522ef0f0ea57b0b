// proxy/webrtc_tcp.h
// One ICE-TCP connection of a client (RFC 6544): packets with their length before them (RFC 4571),
// which go to the origin over UDP like any other path's.
//
// Threading: its port's loop. Bounds: kMaxFrame bytes a packet; kMaxUnsent bytes wait for a client
// that does not read, then packets are dropped; kFirstCheck until the connection shows whose it is.
#pragma once

#include "common/io/child.h"
#include "common/io/gate.h"
#include "proxy/webrtc_port.h"

namespace weir {

class WebrtcTcp {
 public:
  static constexpr std::size_t kMaxFrame = 16 * 1024;
  static constexpr std::size_t kMaxUnsent = 256 * 1024;
  static constexpr milliseconds kFirstCheck{10'000};

  WebrtcTcp(WebrtcPort& port, std::unique_ptr<Socket> client, std::shared_ptr<void> ticket);
  ~WebrtcTcp();

  Task<void> run();

 private:
  class Path;

  Task<void> read_packets();
  // False: the connection is not worth going on with.
  Task<bool> take(std::string packet);
  Task<void> write_packets();
  bool over() const;

  WebrtcPort& port_;
  std::unique_ptr<Socket> client_;
  std::shared_ptr<void> ticket_;
  const Clock::time_point began_;
  std::unique_ptr<Path> path_;
  ByteBuffer unsent_;
  Gate more_;
  bool ended_ = false;
  Child writer_;
};

}  // namespace weir
