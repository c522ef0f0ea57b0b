// proxy/webrtc_port.h
// listen.webrtc on one loop: every packet of a WebRTC client comes in here, over UDP, or over TCP
// with a length before each (RFC 4571, ICE-TCP).
//
//     packet ─► address known? ─yes─► its path ─► origin
//                     │ no
//                     ▼
//              a signed check of a known session? ─► new path
//                     │ unknown session                        anything else: dropped, counted
//                     ▼
//              made by another proxy? (WebrtcDirectory::look_up) ─► new path
//
// Media of an unknown address may be of a client that another proxy has known: see
// webrtc_challenges.h. Nothing else is ever sent from here, so nobody can be made to receive what he
// did not ask for.
//
// Threading: its loop's. Bounds: `admission`'s for the number of paths; kMaxPaths of one session;
// of TCP connections those of webrtc_tcp.h.
#pragma once

#include <unordered_map>

#include "common/io/admission.h"
#include "common/io/packet_pass.h"
#include "common/io/socket.h"
#include "proxy/webrtc_challenges.h"
#include "proxy/webrtc_path.h"

namespace weir {

class WebrtcPort final : private UdpHandler, private Timer {
 public:
  static constexpr int kMaxPaths = 16;
  static constexpr milliseconds kLook{1000};

  struct Context {
    Loop& loop;
    UdpBuffers& buffers;  // the loop's
    Routing& routing;
    WebrtcDirectory& directory;
    Admission& admission;
    Metrics& metrics;
  };

  // Takes over the descriptor of open_udp(). REQUIRES: made on the loop's thread.
  WebrtcPort(Context context, int udp);
  ~WebrtcPort();

  // The whole life of a TCP connection.
  Task<void> serve(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket);

  // What is of no session here is another process's.
  void share(PacketPass& older) { older_ = &older; }
  // Another process reads the port from here on, and passes on what is ours.
  void hand_over() { udp_.stop_receiving(); }
  void passed(const UdpPeer& from, std::span<std::uint8_t> packet) { received(from, packet); }

  // No new sessions; those there are go on.
  void stop_accepting() { accepting_ = false; }

 private:
  class UdpPath;
  friend class WebrtcTcp;

  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override;
  void expired() override;

  // False: there is none, or it has gone.
  bool pass_on(const UdpPeer& from, ByteView packet);
  void take_stun(const UdpPeer& from, ByteView packet);
  static Task<void> look_up(WebrtcPort& port, UdpPeer from, std::string packet);
  void take_media(const UdpPeer& from, ByteView packet);
  static Task<void> look_up_address(WebrtcPort& port, UdpPeer from, std::size_t size);
  void challenge(const UdpPeer& from, std::size_t size);
  void bind(const UdpPeer& from, ByteView check, const WebrtcEntryPtr& entry);
  // Null when there is no room, or no way to the origin.
  UdpPath* open_path(const UdpPeer& from, const WebrtcEntryPtr& entry);
  // The session that a check belongs to, known here or from another proxy; null when none.
  Task<WebrtcEntryPtr> session_of(std::string packet);
  // REQUIRES: a check that the directory may look up.
  Task<WebrtcEntryPtr> looked_up(std::string packet);
  bool make_room(const WebrtcEntry& entry);
  WebrtcPath::Context paths() {
    return {context_.buffers, context_.routing, context_.directory, tallies_};
  }

  Context context_;
  WebrtcTallies tallies_;
  std::unordered_map<Address, std::unique_ptr<UdpPath>, AddressHash, AddressEqual> paths_;
  WebrtcChallenges challenges_;
  UdpSocket udp_;
  PacketPass* older_ = nullptr;
  bool accepting_ = true;
  int looking_up_ = 0;
  Metrics::Sample late_;
};

}  // namespace weir
