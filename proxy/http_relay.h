// proxy/http_relay.h
// The proxy's HTTP: any method and path goes to the origin of its stream and comes back as it is.
//
//     client ──request──► route by stream key ──► pooled or new connection ──► origin
//            ◄─ status, headers, body: bytes, not content ──────────────────◄─┘
//
// Heads are read strictly and written anew, without what belongs to one hop; bodies are pumped with
// their framing, as cheaply as a TCP proxy moves bytes, whether they are a playlist or a live
// stream without end. A WebSocket is bytes both ways once the origin has agreed to it. A client
// that leaves ends the request at the origin.
//
// Another origin is tried only while nothing has been answered: after a refused or timed out
// connect always, else for safe methods without a body. An origin that is slow or hangs up without
// an answer is passed over, not ejected: any client can ask for what makes it so.
//
// Threading: one relay per loop. It must outlive what it serves.
// Bounds: per connection those of http::Connection and pump(), and HttpPoolLimits.
#pragma once

#include <random>
#include <string>

#include "common/http/server_connection.h"
#include "common/metrics.h"
#include "proxy/dialer.h"
#include "proxy/http_upstream_pool.h"

namespace weir {

struct HttpRelayOptions {
  std::string node_id = "weir";  // in Via and CDN-Loop: a token or host[:port]
  DialOptions dial;
  milliseconds blocking_reply_timeout{20'000};  // for an LL-HLS blocking reload (_HLS_msn)
  milliseconds origin_idle{60'000};             // an origin may be silent for so long inside a body
  milliseconds stall{10'000};                   // a receiver may take nothing for so long
  http::ServerTimes times;
  http::Limits limits;
  HttpPoolLimits pool;
  bool cors = false;  // Access-Control-Allow-Origin: * where the origin says nothing
};

struct HttpRelayTallies {
  Tally& requests;
  Tally& failures;  // answered by ourselves: no origin did
  Tally& reused;    // requests over a pooled connection
  Tally& bytes_to_clients;
  Tally& bytes_to_origins;  // of bodies
};

class HttpRelay {
 public:
  HttpRelay(Loop& loop, Routing& routing, Resolver& resolver, HttpRelayOptions options,
            HttpRelayTallies tallies);

  // The whole life of a client's connection.
  Task<void> serve(std::unique_ptr<Socket> client);

  const HttpUpstreamPool& pool() const { return pool_; }

 private:
  friend class HttpExchange;

  Loop& loop_;
  Routing& routing_;
  Resolver& resolver_;
  HttpRelayOptions options_;
  HttpRelayTallies tallies_;
  HttpUpstreamPool pool_;
  std::mt19937_64 random_;
};

// The key by which a request is routed: its stream's. A path that names no stream, such as "/", has
// the key vhost + path, so that it too stays with one origin; one too long to be a key, a hash of
// it. Refusals: 400 for paths that climb or hide a slash, and for a host that is none.
http::Parsed<std::string> http_route_key(std::string_view host, std::string_view target);

}  // namespace weir
