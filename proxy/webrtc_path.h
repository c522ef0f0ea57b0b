// proxy/webrtc_path.h
// One address of a client and a socket of its own towards the origin: what comes in at one end goes
// out at the other.
//
//     client 198.51.100.7:5004 ──► listen.webrtc ══ path ══ 10.0.0.1:40112 ──► origin 10.0.0.9:8000
//
// A session has a path for every address from which its client sends checks. So to the origin each
// looks like another address of the client, the two settle on one as they would without us, and a
// client that moves is followed by the origin's own ICE. Nothing is ever handed from loop to loop: a
// path lives where the kernel delivers its client's packets.
//
// Only checks that the session's password signed make a path, and keep it. DTLS, SRTP and answers to
// the origin's own checks pass as they are.
//
// Threading: one loop's. Bounds: its sockets'; what they cannot take is dropped.
#pragma once

#include <memory>

#include "common/io/udp_socket.h"
#include "common/live_session.h"
#include "common/metrics.h"
#include "common/wire/stun.h"
#include "proxy/access/publish_rate.h"
#include "proxy/routing.h"
#include "proxy/webrtc_directory.h"

namespace weir {

struct WebrtcTallies {
  explicit WebrtcTallies(Metrics& metrics);
  Tally& packets_to_clients;
  Tally& packets_to_origins;
  Tally& bytes_to_clients;
  Tally& bytes_to_origins;
  Tally& unbound;    // from addresses that have not shown a password
  Tally& unsigned_;  // checks with a wrong password, or none
  Tally& malformed;
  Tally& late;  // the receiver's queue was full
};

// What a datagram is, by its first byte (RFC 7983).
enum class WebrtcPacket { Stun, Media, Other };
WebrtcPacket webrtc_packet(ByteView packet);

// Whether `message` is a check of that session's client.
bool is_check_of(const WebrtcSession& session, ByteView packet, const stun::Message& message);

class WebrtcPath : private UdpHandler {
 public:
  struct Context {
    UdpBuffers& buffers;
    Routing& routing;
    WebrtcDirectory& directory;
    WebrtcTallies& tallies;
  };

  WebrtcPath(Context context, WebrtcEntryPtr entry, std::shared_ptr<void> ticket, Address client);
  virtual ~WebrtcPath();
  WebrtcPath(const WebrtcPath&) = delete;
  WebrtcPath& operator=(const WebrtcPath&) = delete;

  // Errors: of the last address of the origin that was tried.
  Result<void> open();

  const WebrtcEntryPtr& entry() const { return entry_; }
  // The client restarted ICE: other names and passwords for the same session.
  void adopt(WebrtcEntryPtr entry);

  // Takes one packet of the client. False: nothing of it is believed, and this path does not know
  // the name in it.
  bool take(ByteView packet);
  // A check that is_check_of() the entry's session.
  void take_check(ByteView packet);
  // Makes the origin use this path, without waiting for the client's next check.
  void introduce();

  // Silent, ended, given up by the origin, or without a check after a DTLS close.
  bool over(Clock::time_point now) const;
  Clock::time_point checked() const { return checked_; }

 protected:
  // To the client; the bytes last until the end of the turn.
  virtual void deliver(ByteView packet) = 0;
  WebrtcTallies& tallies() const { return context_.tallies; }

 private:
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override;
  void refused() override;
  void hear_origin();
  void tell_silent();
  bool is_answer_to_us(ByteView packet) const;
  void relay(ByteView packet);
  void list_client();
  void end_session();
  void try_next_address();
  void use_socket(int fd);

  Context context_;
  WebrtcEntryPtr entry_;
  std::shared_ptr<void> ticket_;
  const Address client_;
  std::optional<LiveSession> listed_;  // when no other path of the session was
  std::unique_ptr<PublishRate> rate_;  // of a publisher, likewise
  RouteUse use_;
  std::unique_ptr<UdpSocket> origin_;
  std::size_t address_ = 0;  // of session.media
  int unanswered_ = 0;       // checks, until the origin's first packet
  bool heard_origin_ = false;
  bool told_silent_ = false;
  bool media_began_ = false;
  std::optional<stun::Transaction> introduction_;  // the last of ours, until the origin is heard
  Clock::time_point introduced_{};
  int refusals_ = 0;  // in a row
  Clock::time_point begun_;
  Clock::time_point checked_;
  std::optional<Clock::time_point> goodbye_;  // since the last check
};

}  // namespace weir
