// proxy/srt_context.h
// What the SRT relay of a loop and its sessions work with.
#pragma once

#include "common/access/access_request.h"
#include "common/io/resolver.h"
#include "common/io/udp_socket.h"
#include "common/log.h"
#include "proxy/dialer.h"
#include "proxy/relay_metrics.h"
#include "proxy/srt_handover.h"
#include "proxy/srt_trunk.h"

namespace weir {

struct SrtRelayOptions {
  DialOptions dial;
  milliseconds idle{8000};         // an end that is silent for this long is gone
  std::size_t max_pending = 1000;  // callers of one loop whose origin has not answered
};

struct SrtContext {
  Loop& loop;
  const SrtRelayOptions& options;
  Routing& routing;
  Resolver& resolver;
  SrtRelayMetrics& metrics;
  UdpBuffers& buffers;
  SrtDirectory& directory;
};

// The sessions of one loop.
struct SrtSessions {
  SrtHome home;
  SrtTrunks trunks;
  SrtFlows callers{};  // all, by the client's own socket id
  SrtFlows joined{};   // those whose origin has accepted, by its socket id
  log::Limited refusals{std::chrono::seconds(1)};
  log::Limited troubles{std::chrono::seconds(1)};  // with origins
  std::size_t pending() const { return callers.size() - joined.size(); }
};

// What a caller that brought our cookie asks for.
struct SrtCall {
  UdpPeer client;
  ByteBuffer conclusion;
  std::string key;
  bool publishes = false;
  AccessRequest access{};
};

}  // namespace weir
