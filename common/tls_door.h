// common/tls_door.h
// What stands in front of a session that is reached over TLS: the handshake, with its deadline, and
// the counting of how handshakes go. Behind it a session reads and writes as on a plain socket.
//
//     serve_clients(loop, fd, admission, behind_tls(door, OverTls::Http, serve_http));
//
// Threading: a door is shared by all loops. Bounds: a client holds its place (Admission) while it
// shakes hands, for Options::handshake_timeout at most.
#pragma once

#include <atomic>
#include <chrono>

#include "common/io/tls_server.h"
#include "common/listening.h"
#include "common/metrics.h"
#include "common/reload.h"

namespace weir {

struct TlsDoor {
  // Serves a client that has chosen HTTP/2, each of its requests as a connection to `serve`.
  using Http2 = Task<void> (*)(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket,
                               Serve serve, milliseconds stall);

  // tls.*, with the certificates if there are any. Throws ConfigError when one cannot be used.
  TlsDoor(const Config& config, Metrics& registry, Http2 serves_http2);

  // The same of another configuration, for the clients who come later.
  Reload::Part part();

  TlsServer server;
  std::atomic<milliseconds> handshake_timeout;
  std::atomic<bool> http2;
  std::atomic<milliseconds> stall;  // of a client that takes nothing
  const Http2 serve_http2;
  Metrics& metrics;
};

// What `serve` speaks. Http is HTTP/1.1, which HTTP/2 comes down to: a session for each stream.
enum class OverTls { Rtmp, Http };
// REQUIRES: the door outlives the sessions.
Serve behind_tls(TlsDoor& door, OverTls what, Serve serve);

}  // namespace weir
