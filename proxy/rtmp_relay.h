// proxy/rtmp_relay.h
// One RTMP client of the proxy: answered up to publish or play, then joined with
// the origin of its stream.
//
//     client ◄─ connect, createStream ─► us        us ◄─ connect, createStream ─► origin
//     client ── publish / play ────────► us ── the same, whole ────────────────► origin
//     client ◄═══════════════ the origin's verdict, and from here on bytes ════► origin
//
// Until the verdict messages are passed on one by one. From then on, and as soon as neither side is
// inside a message, bytes move: a ChunkWalker looks at chunk headers in passing, so that both
// sides' chunk state agrees, and nothing is assembled, copied or written anew.
//
// Threading: the loop that accepted the client. Bounds: a deadline on everything until the verdict;
// then a receiver that takes nothing for stall_timeout ends both.
#pragma once

#include <memory>

#include "common/wire/rtmp_chunk_reader.h"
#include "proxy/dialer.h"
#include "proxy/relay_metrics.h"

namespace weir {

struct RtmpRelayOptions {
  std::string node_id;
  int max_hops = 8;
  bool tells_address = true;  // set_client_address()
  milliseconds handshake_timeout{10'000};
  milliseconds request_timeout{10'000};
  milliseconds stall_timeout{10'000};
  std::uint32_t window_ack = 2'500'000;
  rtmp::ReaderLimits limits;  // of identified peers
  DialOptions dial;
};

struct RtmpRelayContext {
  Loop& loop;
  const RtmpRelayOptions& options;
  Routing& routing;
  Resolver& resolver;
  RtmpRelayMetrics& metrics;
};

// `admission` is given back when the client has gone.
Task<void> relay_rtmp(RtmpRelayContext context, std::unique_ptr<Socket> client,
                      std::shared_ptr<void> admission);

}  // namespace weir
