// proxy/rtsp_forwarding.h
// What the proxy does to RTSP messages on their way between client and origin.
//
// A request keeps its URI, its CSeq, its Session and its credentials, and gains a Via by which
// loops are found; a response gets the client's address wherever the origin wrote its own; see
// common/wire/rtsp_url.h for why.
//
// Threading: pure functions. Bounds: those of a message; a description may grow by the client's
// address in each of its lines.
#pragma once

#include "common/wire/rtsp.h"

namespace weir {

// What a client's request is about.
struct RtspTarget {
  std::string key;   // of the stream's route; empty when it names none ("*", "/")
  std::string base;  // rtsp_url.h's base_of(); empty when there is none
};

// Refusals: 400 for a URI that names no stream where the method needs one, or that climbs or hides
// a slash.
rtsp::Parsed<RtspTarget> rtsp_target(const rtsp::Message& request);

// Adds ourselves to Via. Refusals: 508 for a request that has been here before, or at more than
// `max_hops` nodes.
rtsp::Parsed<void> mark_hop(rtsp::Message& request, std::string_view node_id, int max_hops);

// Leaves the transports alone that travel in this connection; false when there is none.
bool keep_interleaved(rtsp::Message& setup);

// Makes what an origin says true for the client: `base` in Content-Base, Content-Location,
// RTP-Info, a description's controls, and the URI of a request; in Location only where it leads to
// `origin` (host:port) itself.
void show_to_client(rtsp::Message& message, std::string_view base, std::string_view origin);

// What this proxy can pass on, for who asks it and not an origin.
rtsp::Message answer_options(const rtsp::Message& request);

}  // namespace weir
