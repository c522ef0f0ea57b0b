// proxy/whip_addresses.h
// Where clients are told to send media, and where it goes on to.
//
// Threading: the resolver's loop. Bounds: kMaxCandidates addresses of ours,
// WebrtcSession::kMaxMedia of an origin.
#pragma once

#include "proxy/dialer.h"
#include "proxy/webrtc_session.h"

namespace weir {

inline constexpr std::size_t kMaxCandidates = 8;

struct WhipOptions {
  std::string node_id = "weir";
  DialOptions dial = {};
  milliseconds write_timeout{10'000};
  std::vector<Endpoint> candidates =
      {};                        // what clients are told; port 0: media_port; empty: this host
  std::uint16_t media_port = 0;  // of listen.webrtc
  bool tcp = true;               // candidates over TCP too
};

// For the client's side of a session. `reached` is where this client reached us, the best guess
// when the configuration says nothing.
Task<std::vector<sdp::Candidate>> own_candidates(Resolver& resolver, const WhipOptions& options,
                                                 Address reached, Deadline deadline);

// Of the origin: where the configuration or a heartbeat says that it takes media, then where its
// answer does. REQUIRES: all outlive the task.
Task<std::vector<Address>> media_addresses(Resolver& resolver, const Upstream& upstream,
                                           const sdp::Ice& answer, Deadline deadline);

}  // namespace weir
