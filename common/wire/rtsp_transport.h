// common/wire/rtsp_transport.h
// The Transport header of SETUP (RFC 2326 12.39, RFC 7826 18.54): ways in which media may travel,
// the client's favourite first.
//
//     RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=0-1
//
// A relay of one TCP connection can serve those alone that travel in it.
//
// Threading: pure functions. Bounds: those of a header line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::rtsp {

// The ways, trimmed; commas within quoted strings separate nothing. Empty ones are left out.
std::vector<std::string_view> split_transports(std::string_view value);

// Media in the frames of this connection: the lower transport is TCP, and it is not multicast.
bool is_interleaved(std::string_view transport);

// Those that are, in their order, as one value; empty when there is none.
std::string interleaved_only(std::string_view value);

}  // namespace weir::rtsp
