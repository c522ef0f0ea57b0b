// edge/edge_options.h
// What the operator set for the edge role, in the units it is used in. Made by
// main from the configuration.
#pragma once

#include <optional>
#include <string>

#include "cache/segment_store.h"
#include "cache/stream_log.h"
#include "common/http/static_files.h"
#include "common/io/timer.h"
#include "common/wire/rtmp_chunk_reader.h"
#include "edge/http_cache.h"
#include "proxy/dialer.h"

namespace weir {

struct EdgeOptions {
  enum class Pull { Rtmp, Flv, Auto };

  std::string node_id;
  bool standalone = true;  // no upstream is configured: what is published here is served from here
  Pull pull = Pull::Auto;
  milliseconds linger{10'000};
  milliseconds source_timeout{3'000};
  milliseconds start_timeout{10'000};
  milliseconds gone_timeout{30'000};
  milliseconds negative_ttl{1'000};
  std::size_t max_missing = 10'000;
  milliseconds retry_min{100};
  milliseconds retry_max{3'000};
  std::optional<milliseconds> merge_window;  // nothing: adaptive
  milliseconds merge_max{350};
  int max_hops = 8;
  StreamLog::Limits log;

  milliseconds stall_timeout{10'000};
  std::size_t send_buffer = 256 * 1024;

  milliseconds publisher_first_timeout{20'000};
  milliseconds publisher_timeout{7'000};
  milliseconds publisher_stale{3'000};

  milliseconds handshake_timeout{10'000};
  milliseconds request_timeout{10'000};
  milliseconds head_timeout{10'000};
  std::uint32_t window_ack = 2'500'000;
  rtmp::ReaderLimits rtmp;  // of an identified peer
  DialOptions dial;
  OriginNaming naming;

  std::size_t cache_memory = 256 * 1024 * 1024;
  HttpCacheOptions cache;
  SegmentStore::Options disk;                // without a folder: none
  const http::StaticFiles* files = nullptr;  // go before streams and the cache
  http::Limits http_limits;
  Admission* admission = nullptr;  // see http::ServerConnection
};

}  // namespace weir
