// common/tls_door.h
// What stands in front of a session that is reached over TLS: the handshake, with its deadline, and
// the counting of how handshakes go. Behind it a session reads and writes as on a plain socket.
//
//     serve_clients(loop, fd, admission, behind_tls(door, kHttpOverTls, serve_http));
//
// Threading: a door is shared by all loops. Bounds: a client holds its place (Admission) while it
// shakes hands, for TlsDoor::handshake_timeout at most.
#pragma once

#include <memory>
#include <string>

#include "common/io/tls_server.h"
#include "common/listening.h"
#include "common/metrics.h"

namespace weir {

struct TlsDoor {
  TlsDoor(std::shared_ptr<TlsServer> shows, milliseconds patience, Metrics& registry);

  const std::shared_ptr<TlsServer> server;
  const milliseconds handshake_timeout;
  Metrics& metrics;
};

// As accept_tls() takes them.
inline const std::string kHttpOverTls = "\x08http/1.1";

// REQUIRES: the door outlives the sessions.
Serve behind_tls(const TlsDoor& door, std::string applications, Serve serve);

}  // namespace weir
