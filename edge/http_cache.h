// edge/http_cache.h
// Serves over HTTP what is no live pipe: from memory, or from upstream, fetched once for all who ask.
//
//     request ─► key ─► HttpStore ──fresh──────────────────────────► HttpReply
//                           │                                           ▲
//                           └─nothing, stale─► join ─► HttpFetch ─head──┘  the body follows as it comes
//                                                         └─private──► HttpExchange: relayed to its asker
//
// What is not GET or HEAD, has a body, or upgrades, is relayed.
//
// Threading: one for each loop, over one HttpStore of the process; a fetch runs on the loop of its
// first asker and outlives it. Bounds: HttpStore's; HttpRelay's for what is relayed; a fetch has a
// deadline for its head and one for each piece of its body.
#pragma once

#include "cache/http_store.h"
#include "cache/object_tier.h"
#include "common/metrics.h"
#include "proxy/http_relay.h"

namespace weir {

struct HttpCacheOptions {
  std::string node_id = "weir";
  std::size_t object_max = 64 * 1024 * 1024;
  HttpPolicy policy;
  std::vector<std::string> ignored_arguments;  // no part of the key
  std::string purge_token;                     // empty: nobody may purge
  milliseconds private_ttl{2'000};  // everybody asks for themselves what was private so long ago
  milliseconds hold{20'000};        // for a first byte that an origin may hold back until it exists
  milliseconds origin_idle{10'000};  // an origin may be silent for so long inside a body
  milliseconds stall{10'000};        // a client may take nothing for so long
  bool cors = true;                  // Access-Control-Allow-Origin: * where the origin says nothing
};

class HttpHit;

// What one loop counts.
struct HttpCacheTallies {
  explicit HttpCacheTallies(Metrics& metrics);

  Tally& hits;       // from memory
  Tally& stale;      // from memory, past their time
  Tally& misses;     // fetched
  Tally& validated;  // still good, the origin said
  Tally& coalesced;  // waited for another's fetch
  Tally& passed;     // relayed
  Tally& failures;   // answered by ourselves: nothing could be had
  Tally& tier_hits;  // from the tier behind memory
  Tally& fetches;    // requests upstream
  Tally& bytes;      // to clients
  Tally& bytes_fetched;
};

class HttpCache {
 public:
  struct Context {
    Loop& loop;
    HttpStore& store;
    HttpRelay& relay;
    const HttpCacheOptions& options;
    HttpCacheTallies& tallies;
    ObjectTier* tier = nullptr;  // behind memory; null: none
  };

  explicit HttpCache(Context context);
  ~HttpCache();

  // Answers one request. Whether the client's connection may carry another.
  Task<bool> serve(http::ServerConnection& client, http::Request request);
  // The same, unless what upstream has under that name may be a live pipe: nothing at all, or a
  // response without an announced end. Nothing then, and the request is still to be answered.
  Task<std::optional<bool>> serve_object(http::ServerConnection& client, http::Request request);

  // Answers at once if that can be done; see HttpHit.
  HttpHit& hit() { return *hit_; }

 private:
  const Context context_;
  const std::unique_ptr<HttpHit> hit_;
};

}  // namespace weir
