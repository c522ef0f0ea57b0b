#include "proxy/api_fetch.h"

#include <spdlog/fmt/fmt.h>

#include "common/http/client_connection.h"
#include "proxy/upstream_connection.h"

namespace weir {

Task<Result<std::string>> fetch_api(Resolver& resolver, UpstreamPtr upstream, Endpoint endpoint,
                                    std::string target, std::size_t most, Deadline deadline) {
  auto socket = co_await connect_upstream(resolver, std::move(upstream), endpoint, deadline);
  if (!socket) co_return std::unexpected(socket.error());
  http::ClientConnection connection(std::move(*socket));
  http::Request request{.method = "GET", .target = std::move(target)};
  request.headers.add("Host", to_string(endpoint));
  request.headers.add("User-Agent", "weir");
  request.headers.add("Accept", "application/json");
  request.headers.add("Connection", "close");
  auto response = co_await connection.get(std::move(request), deadline);
  if (!response) co_return std::unexpected(response.error());
  if (response->status != 200)
    co_return fail(Errc::Unavailable, fmt::format("HTTP status {}", response->status));
  auto body = co_await connection.read_all(most, deadline);
  co_return body;
}

}  // namespace weir
