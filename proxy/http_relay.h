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
// Playlists and manifests alone are read, so that whatever they lead to comes from the same origin
// (playlist_relay.h).
//
// Which origin is asked, and when another one is: http_call.h.
//
// Threading: one relay per loop. It must outlive what it serves.
// Bounds: per connection those of http::Connection and pump(), and HttpPoolLimits.
#pragma once

#include <string>

#include "common/http/server_connection.h"
#include "common/http/static_files.h"
#include "common/metrics.h"
#include "proxy/access/grant.h"
#include "proxy/http_call.h"
#include "proxy/whip_exchange.h"

namespace weir {

struct HttpRelayOptions {
  std::string node_id = "weir";  // in Via and CDN-Loop: a token or host[:port]
  int max_hops = 8;              // nodes that a request may have passed before this one
  DialOptions dial = {};
  milliseconds blocking_reply_timeout{20'000};  // for an LL-HLS blocking reload (_HLS_msn)
  milliseconds origin_idle{60'000};             // an origin may be silent for so long inside a body
  milliseconds stall{10'000};                   // a receiver may take nothing for so long
  http::ServerTimes times = {};
  http::Limits limits = {};
  Admission* admission = nullptr;  // see http::ServerConnection
  HttpPoolLimits pool = {};
  bool cors = false;  // Access-Control-Allow-Origin: * where the origin says nothing
  const http::StaticFiles* files = nullptr;  // go before any origin
  OriginNaming naming = {};  // URIs of playlists name their origin, requests are sent there
};

struct HttpRelayTallies {
  static HttpRelayTallies of(Metrics& metrics);

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

  // From the next request on.
  void change(HttpRelayOptions options) { options_ = std::move(options); }

  // WebRTC signalling is relayed with our media addresses from now on. REQUIRES: both outlive this.
  void offer_webrtc(WebrtcDirectory& directory, const WhipOptions& options) {
    whip_.emplace(loop_, routing_, resolver_, directory, options);
  }
  // Requests that are under way, which have a copy, end as they began.
  void offer_no_webrtc() { whip_.reset(); }

  // None unless it is offered.
  const std::optional<WhipExchange::Context>& webrtc() const { return whip_; }

  HttpUpstreamPool& pool() { return pool_; }
  const HttpRelayOptions& options() const { return options_; }
  // For those who ask the same origins for themselves.
  HttpCall::Context calls() {
    return {loop_, routing_, resolver_, pool_, options_.dial, options_.naming, tallies_.reused};
  }

 private:
  friend class HttpExchange;

  enum class Went { On, Closed, NotTaken };
  Task<Went> refuse_unless_allowed(http::ServerConnection& client, const http::Request& request,
                                   Grant& grant);

  Loop& loop_;
  Routing& routing_;
  Resolver& resolver_;
  HttpRelayOptions options_;
  HttpRelayTallies tallies_;
  HttpUpstreamPool pool_;
  std::optional<WhipExchange::Context> whip_;
};

}  // namespace weir
