// common/wire/rtsp_url.h
// The URLs in RTSP messages, and whose address stands in them.
//
// A client's request URI goes to the origin as it is, address of the proxy included: a digest
// (RFC 7616) covers it, so another one would void the client's credentials, and servers route by
// the path. Most servers build what they answer from the URI they were asked; those that write
// their own address there get it replaced by the one the client used, so that what the client asks
// next comes here again and is signed for what it sees.
//
// RTSP over TLS toward a client is no matter of these: the scheme is the client's, too.
//
// Threading: pure functions. Bounds: those of a message.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::rtsp {

// rtsp://host:554 of a client's request URI, without user and password; nothing in a URI without
// an authority, or that is not rtsp, rtsps or rtspu.
std::optional<std::string> base_of(std::string_view uri);

// An absolute RTSP URL with `base` (of base_of()) for its scheme and authority; other text as it is.
std::string with_base(std::string_view url, std::string_view base);

// The same for each url of an RTP-Info (RFC 2326 12.33, RFC 7826 18.45).
std::string rtp_info_with_base(std::string_view value, std::string_view base);

// The same for each `a=control:` of a description (RFC 2326 C.1.1). What changes nothing gives the
// same bytes.
std::string sdp_with_base(std::string_view sdp, std::string_view base);

// Without the part that names a track in a URL of SETUP: /trackID=1, /streamid=0, /stream=0,
// /track1. For who has not seen the description, in which that part stands.
std::string_view without_track(std::string_view url);

}  // namespace weir::rtsp
