// proxy/whip_request.h
// Which HTTP requests are WebRTC signalling, for which stream, and how a session's URL is written
// so that any proxy knows the way back.
//
//     POST /rtc/v1/whip/?app=live&stream=cam    SRS; also whep, whip-play
//     POST /rtc/v1/publish/, /rtc/v1/play/      SRS's JSON, the stream in its "streamurl"
//     POST /live/cam/whip, /live/cam/whep       MediaMTX
//     POST /live/cam?direction=whip             OvenMediaEngine
//     POST /whip/live/cam, /whep/live/cam       and anything else with an application/sdp body
//
//     Location: /session/17   ──►   /session/17?weir_o=k3fq7xwcd2m4a&weir_s=9f...
//
// weir_o names the origin (origin_token.h), weir_s our session; by them PATCH and DELETE come back
// to any proxy and go where the session is. Each tier of proxies adds its own before the one there.
//
// Threading: pure functions. Bounds: the request's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/wire/http1.h"
#include "common/wire/http1_line.h"

namespace weir {

inline constexpr std::string_view kSessionArgument = "weir_s";

struct WhipRequest {
  enum class Body { None, Sdp, Fragment, Json };

  Body body = Body::None;
  std::string stream_target;  // names the stream as a path would; empty: it stands in the body
  std::optional<bool> publishes{};  // as the URL says, if it does
};

// Nothing when `request` is none. Refusals: 415 for a body of another type than its method wants.
http::Parsed<std::optional<WhipRequest>> whip_request(const http::Request& request);

// The stream of SRS's "webrtc://host/app/stream?args", as a request target. Errors: Protocol.
Result<std::string> target_of_webrtc_url(std::string_view url);

// Takes this tier's session off a target; nothing when there is none.
std::optional<std::string> take_session(std::string& target);

// An origin's Location as the client gets it: without the origin's host, with both names.
std::string mapped_location(std::string_view location, const std::string& origin_token,
                            const std::string& session);

}  // namespace weir
