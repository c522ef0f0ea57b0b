// proxy/http_upstream_pool.h
// Connections to origins that have answered whole requests and may carry more.
//
// The last one in is the first one out, so that the rest grow old and go. One whose origin has said
// anything since, be it goodbye, is not given out.
//
// Threading: one loop's. Bounds: HttpPoolLimits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/endpoint.h"
#include "common/http/client_connection.h"

namespace weir {

struct HttpPoolLimits {
  std::size_t per_endpoint = 32;
  std::size_t total = 256;
  milliseconds idle{15'000};
};

class HttpUpstreamPool final : private Timer {
 public:
  using Connection = std::unique_ptr<http::ClientConnection>;

  explicit HttpUpstreamPool(Loop& loop, HttpPoolLimits limits = {})
      : loop_(loop), limits_(limits) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  struct Pooled {
    Connection connection;
    Endpoint endpoint;
  };
  // To the first of the endpoints that has one; nothing when none has.
  std::optional<Pooled> take(std::span<const Endpoint> endpoints);
  // Dropped unless it is reusable and there is room.
  void put(const Endpoint& endpoint, Connection connection);

 private:
  struct Idle {
    Connection connection;
    Clock::time_point since;
  };
  Connection take_from(const Endpoint& endpoint);
  void expired() override;

  Loop& loop_;
  HttpPoolLimits limits_;
  std::map<std::string, std::vector<Idle>> idle_;
  std::size_t size_ = 0;
};

}  // namespace weir
