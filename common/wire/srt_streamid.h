// common/wire/srt_streamid.h
// What an SRT caller asks for, in the ways that media servers take it:
//
//     #!::h=a.org,r=live/cam,m=publish,u=me    libsrt's access control; keys in any order
//     #!::h=live/cam,m=publish                 without r, a host with a slash is the stream
//     publish:live/cam:user:secret             also read: and request:
//     live/cam?token=1                         plain: to be read
//
// Keys of the first form may be percent-encoded; those not named here are left to the origin.
//
// Threading: pure functions. Bounds: its text, at most srt::kMaxStreamId bytes.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"

namespace weir::srt {

struct StreamRequest {
  enum class Mode { Request, Publish };

  Mode mode = Mode::Request;
  std::string host;      // empty when not named
  std::string resource;  // app/stream?arguments; never empty
  std::string user;

  friend bool operator==(const StreamRequest&, const StreamRequest&) = default;
};

// Errors: NotFound when no stream is named, Protocol for what is none of these forms or has control
// bytes, Limit.
Result<StreamRequest> parse_stream_id(std::string_view text);
// In the first form. Reads back as the same request.
std::string to_stream_id(const StreamRequest& request);

}  // namespace weir::srt
