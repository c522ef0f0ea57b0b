// common/tls_door.h
// What stands in front of a session that is reached over TLS: the handshake, with its deadline, and
// the counting of how handshakes go. Behind it a session reads and writes as on a plain socket.
//
//     serve_clients(loop, fd, admission, behind_tls(door, OverTls::Http, serve_http));
//
// Threading: a door is shared by all loops. Bounds: a client holds its place (Admission) while it
// shakes hands, for Options::handshake_timeout at most.
#pragma once

#include <memory>
#include <string>

#include "common/io/tls_server.h"
#include "common/listening.h"
#include "common/metrics.h"

namespace weir {

struct TlsDoor {
  struct Options {
    milliseconds handshake_timeout{10'000};
    bool http2 = true;
  };
  TlsDoor(std::shared_ptr<TlsServer> shows, Options how, Metrics& registry);

  const std::shared_ptr<TlsServer> server;
  const Options options;
  Metrics& metrics;
};

// What `serve` speaks. Http is HTTP/1.1, which HTTP/2 comes down to: a session for each stream.
enum class OverTls { Rtmp, Http };
// REQUIRES: the door outlives the sessions.
Serve behind_tls(const TlsDoor& door, OverTls what, Serve serve);

}  // namespace weir
