// common/wire/websocket_handshake.h
// How an HTTP request becomes a WebSocket (RFC 6455 section 4.2), the server's side.
//
// Threading: pure functions.
#pragma once

#include "common/wire/http1.h"
#include "common/wire/http1_line.h"

namespace weir::websocket {

// Whether it wants to become one, rightly or not.
bool is_asked_for(const http::Request& request);

// The answer that grants it. Of the subprotocols that the client offers the first is agreed to:
// media is all we speak, and browsers give up when none is. Refusals: 426 for another version than
// 13, else 400.
http::Parsed<http::Response> grant(const http::Request& request);

// What goes with the refusal of a version.
inline constexpr std::string_view kVersion = "13";

// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

}  // namespace weir::websocket
