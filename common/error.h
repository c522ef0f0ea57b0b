// common/error.h
// How anything that a peer, the network or the kernel does wrong is told: as a value.
//
// Result<T> is checked where it is received. Only start-up throws (ConfigError in common/config.h),
// and only our own bugs abort (CHECK in common/check.h). The text is for the log: one line, no
// secrets.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

enum class Errc {
  Closed,       // the peer ended the connection in an orderly way
  Reset,        // the connection broke
  Timeout,      // a deadline passed
  Refused,      // nobody listens there, or no way leads there
  Protocol,     // bytes that the specification does not allow
  Limit,        // allowed by the specification, beyond our configured bound
  NotFound,     // the stream, name or route does not exist
  Denied,       // not permitted
  Busy,         // the stream already has a publisher
  Loop,         // the request came back to us
  Unavailable,  // nothing could serve it now
  Cancelled,    // we ended it ourselves
  System,       // the kernel said no: the text carries errno's words
};

constexpr std::string_view name(Errc code) {
  switch (code) {
    case Errc::Closed: return "closed";
    case Errc::Reset: return "reset";
    case Errc::Timeout: return "timeout";
    case Errc::Refused: return "refused";
    case Errc::Protocol: return "protocol";
    case Errc::Limit: return "limit";
    case Errc::NotFound: return "not_found";
    case Errc::Denied: return "denied";
    case Errc::Busy: return "busy";
    case Errc::Loop: return "loop";
    case Errc::Unavailable: return "unavailable";
    case Errc::Cancelled: return "cancelled";
    case Errc::System: return "system";
  }
  return "unknown";
}

struct Error {
  Errc code = Errc::System;
  std::string text;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string text) {
  return std::unexpected(Error{code, std::move(text)});
}

}  // namespace weir
