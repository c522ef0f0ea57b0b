// proxy/rtsp_relay.h
// One RTSP client of the proxy, joined with the origin of its stream over one TCP connection each.
//
//     client ── OPTIONS, DESCRIBE or ANNOUNCE ─► us ── the same ─► origin     one after the other,
//     client ◄────── 401, 404, 200, SDP ─────── us ◄────────────── origin     the next origin if need be
//     client ── SETUP over UDP ──► us: 461 ──► client ── SETUP over TCP ─►
//     client ◄════════ requests, responses, interleaved media ══════════► origin     two RtspLanes
//
// The origin's answers stand: credentials are checked there, against the URI that the client
// signed. Which origin is settled by its first answer that says yes; until then one that cannot be
// reached, hangs or (for a viewer) does not have the stream is passed over for the next.
//
// Media comes and goes in this connection alone (RFC 2326 10.12), for it is the one the client
// could reach us by; clients that would rather have UDP are told 461 and try again.
//
// Threading: the loop that accepted the client. Bounds: a deadline on every message until media is
// set up; then a receiver that takes nothing for stall_timeout ends both, and so does a session in
// which nobody says anything for session_timeout.
#pragma once

#include <memory>

#include "common/wire/rtsp.h"
#include "proxy/dialer.h"
#include "proxy/relay_metrics.h"

namespace weir {

struct RtspRelayOptions {
  std::string node_id;
  int max_hops = 8;
  milliseconds request_timeout{10'000};  // for the first request, each whole one, and each answer
  milliseconds session_timeout{60'000};  // RFC 2326 12.37
  milliseconds stall_timeout{10'000};
  rtsp::Limits limits;
  DialOptions dial;
};

struct RtspRelayContext {
  Loop& loop;
  const RtspRelayOptions& options;
  Routing& routing;
  Resolver& resolver;
  RtspRelayMetrics& metrics;
};

// `admission` is given back when the client has gone.
Task<void> relay_rtsp(RtspRelayContext context, std::unique_ptr<Socket> client,
                      std::shared_ptr<void> admission);

}  // namespace weir
