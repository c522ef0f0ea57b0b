// proxy/webrtc_session.h
// All that a proxy has to know to relay one WebRTC session, whoever made it: how to recognise its
// client's packets and where they go.
//
// The client's STUN requests carry the USERNAME "origin's ufrag:client's ufrag" and are signed with
// the origin's password (RFC 8445 7.2.2). Descriptions may give each media section its own, so a
// session has several. The origin's own requests to the client carry the two names the other way
// round, and are signed with the client's password.
//
// Threading: values. Bounds: kMaxChecks names, kMaxMedia addresses, and decode() reads no more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/io/address.h"
#include "common/wire/sdp.h"

namespace weir {

struct WebrtcSession {
  static constexpr std::size_t kMaxChecks = 64;
  static constexpr std::size_t kMaxMedia = 16;

  struct Check {
    std::string username;
    std::string password;
    std::string client_password = {};  // empty: not known
    friend bool operator==(const Check&, const Check&) = default;
  };

  std::string id;
  std::string stream;          // its key
  std::string upstream;        // id
  bool publishes = false;      // the client does
  std::int64_t expires = 0;    // when it is to end, in seconds since 1970; 0: that is up to it
  std::vector<Check> checks;   // at least one
  std::vector<Address> media;  // of the origin, in the order to try them; at least one

  // Null when the name is none of this session's. REQUIRES: the session outlives it.
  const Check* check_of(std::string_view username) const;
};

// The names under which an answer's and an offer's sections meet: section by section, and all of
// one side with the first of the other, which is what a bundle uses.
std::vector<WebrtcSession::Check> checks_of(const std::vector<sdp::Credentials>& origin,
                                            const std::vector<sdp::Credentials>& client);

// For other proxies. Errors of decode(): Protocol, Limit.
std::string encode(const WebrtcSession& session);
Result<WebrtcSession> decode_webrtc_session(std::string_view text);

}  // namespace weir
