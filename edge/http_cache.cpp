#include "edge/http_cache.h"

#include "edge/http_hit.h"
#include "edge/http_visit.h"

namespace weir {

namespace {

Tally& requests(Metrics& metrics, const char* result) {
  return metrics.tally("weir_cache_requests_total",
                       "Requests to the HTTP cache, by what came of them.", {{"result", result}});
}

}  // namespace

HttpCacheTallies::HttpCacheTallies(Metrics& metrics)
    : hits(requests(metrics, "hit")),
      stale(requests(metrics, "stale")),
      misses(requests(metrics, "miss")),
      validated(requests(metrics, "validated")),
      coalesced(requests(metrics, "coalesced")),
      passed(requests(metrics, "passed")),
      failures(requests(metrics, "failed")),
      tier_hits(
          metrics.tally("weir_cache_tier_hits_total", "Objects found in the tier behind memory.")),
      fetches(metrics.tally("weir_cache_fetches_total", "Requests of the HTTP cache upstream.")),
      bytes(metrics.tally("weir_cache_sent_bytes_total", "Bytes sent from the HTTP cache.")),
      bytes_fetched(metrics.tally("weir_cache_fetched_bytes_total",
                                  "Bytes of bodies fetched for the HTTP cache.")) {}

HttpCache::HttpCache(Context context)
    : context_(context), hit_(std::make_unique<HttpHit>(context_)) {}
HttpCache::~HttpCache() = default;

Task<bool> HttpCache::serve(http::ServerConnection& client, http::Request request) {
  HttpVisit visit(context_, client, std::move(request), HttpVisit::Wants::Anything);
  auto keep = co_await visit.run();
  co_return keep.value_or(false);
}

Task<std::optional<bool>> HttpCache::serve_object(http::ServerConnection& client,
                                                  http::Request request) {
  HttpVisit visit(context_, client, std::move(request), HttpVisit::Wants::Object);
  auto keep = co_await visit.run();
  co_return keep;
}

}  // namespace weir
