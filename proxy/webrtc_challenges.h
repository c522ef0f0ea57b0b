// proxy/webrtc_challenges.h
// Media of an address that another proxy had bound: its client is asked to prove itself at once,
// instead of being waited for.
//
//     client                    this proxy                      origin
//       │ media ──────────────────► whose? the store says
//       │ ◄── a check, as the origin sends it ──┤
//       │ answer, signed ─────────► believed    │
//       │ media ──────────────────► bound ══════╪══► a check that nominates this path, media
//
// Why: a client's own checks come every 2.5 s from a browser, every 5 s and more from others, and
// until then it would be deaf and mute. The answer is signed with the client's password, so nothing
// is bound that has not been verified. An address is sent no more bytes than came from it.
//
// Threading: its port's loop. Bounds: kMaxChallenges addresses, each for kLifetime.
#pragma once

#include <unordered_map>

#include "common/io/udp_peer.h"
#include "common/wire/stun.h"
#include "proxy/webrtc_directory.h"

namespace weir {

class WebrtcChallenges {
 public:
  static constexpr std::size_t kMaxChallenges = 4096;
  static constexpr milliseconds kLifetime{3000};
  static constexpr milliseconds kAgain{200};

  // False when there are too many, or the client's password is not known.
  bool add(const Address& client, WebrtcEntryPtr entry, Clock::time_point now);
  // Another `size` bytes came from there. What to send, if anything; lasts until the next call.
  ByteView heard(const Address& client, std::size_t size, Clock::time_point now);
  bool waits_for(const Address& client) const { return waiting_.contains(client); }
  // The session whose client has proved itself by this answer, and its challenge ends; else null.
  WebrtcEntryPtr answered(const Address& client, ByteView packet, const stun::Message& message);
  void forget_old(Clock::time_point now);

 private:
  struct Challenge {
    WebrtcEntryPtr entry;
    const WebrtcSession::Check* check;  // of the entry's session
    ByteBuffer packet;
    Clock::time_point began;
    Clock::time_point sent{};  // long ago: not yet
    std::size_t credit = 0;
  };

  std::unordered_map<Address, Challenge, AddressHash, AddressEqual> waiting_;
};

// Nobody can guess it.
stun::Transaction random_transaction();

}  // namespace weir
