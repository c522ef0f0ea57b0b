#include "proxy/upstream_connection.h"

namespace weir {

Task<Result<std::unique_ptr<Socket>>> connect_upstream(Resolver& resolver, UpstreamPtr upstream,
                                                       Endpoint endpoint, Deadline deadline) {
  auto socket = co_await resolver.connect(endpoint.host, endpoint.port, deadline);
  if (!socket || !endpoint.tls) co_return socket;
  const UpstreamTls* tls = upstream ? upstream->tls.get() : nullptr;
  if (tls == nullptr) co_return fail(Errc::Denied, "TLS with an upstream that is not configured");
  const std::string& host = tls->name.empty() ? endpoint.host : tls->name;
  auto agreed = co_await connect_tls(**socket, tls->context, host, deadline);
  if (!agreed) co_return std::unexpected(agreed.error());
  co_return socket;
}

}  // namespace weir
