// proxy/http_forwarding.h
// A client's request as it goes to an origin: what belongs to one hop is gone, and who forwards it,
// for whom and by which way is added.
//
//     X-Forwarded-For      what a trusted hop said, and the address of who connected
//     X-Forwarded-Proto    what a trusted hop said, else how this node was asked
//     X-Forwarded-Host     the same
//     Forwarded            continued where a trusted hop has begun it
//
// It is not begun here, for it would say nothing new: what runs behind media proxies reads the older
// fields, and of two rows that say the same one is ignored or, worse, both are believed.
//
// Threading: any thread. Bounds: the request's.
#pragma once

#include <string>

#include "common/http/server_connection.h"
#include "proxy/hop_mark.h"
#include "proxy/upstream_connection.h"

namespace weir {

// Whose request it is.
struct Requester {
  ClientEnds ends;
  Address sender;       // who connected: the client, or the last hop before this node
  bool secure = false;  // over TLS

  static Requester of(const http::ServerConnection& connection);
};

// Who forwards, and for whom.
struct ForwardedFor {
  std::string_view node_id;  // in Via and CDN-Loop
  const HopMark& mark;       // of the request as it came
  // None: the answer is for many, and what the first of them or its hops said of it is left out.
  std::optional<Requester> requester = {};
  http::BodyFraming framing = {};
  bool upgrade = false;
  int max_hops = 8;
};

// Where a forwarded request goes.
struct Forwarding {
  std::string key;          // http_route_key()
  bool needs_host = false;  // Host is the origin's endpoint, for the client named none
};

// Turns `request` into what is sent, in origin form; leaves it alone when it is refused. Refusals:
// 400 as http_route_key(), 501 for CONNECT, 508 as next_hop().
http::Parsed<Forwarding> forward(http::Request& request, const ForwardedFor& how);

// The key by which a request is routed: its stream's. A path that names no stream, such as "/", has
// the key vhost + path, so that it too stays with one origin; one too long to be a key, a hash of
// it. Refusals: 400 for paths that climb or hide a slash, and for a host that is none.
http::Parsed<std::string> http_route_key(std::string_view host, std::string_view target);

}  // namespace weir
