// common/wire/sdp.h
// Session descriptions (RFC 8866) as far as a relay of WebRTC cares: the ICE credentials and
// candidates in them, and the same text with other candidates.
//
//     read_ice(answer)                 whom to expect, and where the origin takes media
//     with_candidates(answer, ours)    what the client gets: our addresses, none of the origin's
//
// Works on whole descriptions and on the fragments of trickle ICE (RFC 8840) alike. Credentials may
// stand in the session's part or in each media section, and differ there; sections may be
// bundle-only, with port 0.
//
// Threading: pure functions. Bounds: kMaxText bytes, kMaxLines lines, kMaxSections sections.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace weir::sdp {

inline constexpr std::size_t kMaxText = 64 * 1024;
inline constexpr std::size_t kMaxLines = 4096;
inline constexpr std::size_t kMaxSections = 64;
inline constexpr std::size_t kMaxCandidates = 64;

// RFC 8839 5.4: 4 to 256 characters, and 22 to 256.
struct Credentials {
  std::string ufrag;
  std::string password;
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

struct Candidate {
  std::string address;  // a number or a name, as it stands there
  std::uint16_t port = 0;
  std::uint32_t priority = 0;
  bool tcp = false;
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Ice {
  std::vector<Credentials> credentials;  // in order, each once
  std::vector<Candidate> candidates;     // of component 1, each once, highest priority first
  bool receives = false;                 // a=recvonly (RFC 8866 6.7.1): who wrote it wants to watch
};

// Errors: Protocol for what is no description or fragment, and for malformed credentials; Limit.
// Candidates that cannot be read are left out.
Result<Ice> read_ice(std::string_view text);

// The text with `candidates` in every section that is not refused, instead of those it has. Nothing
// else of the network it was written in is left either: addresses in o=, c= and a=rtcp, ports, and
// a=remote-candidates. Ends with a=end-of-candidates when there are any. REQUIRES: read_ice() took it.
std::string with_candidates(std::string_view text, std::span<const Candidate> candidates);

}  // namespace weir::sdp
