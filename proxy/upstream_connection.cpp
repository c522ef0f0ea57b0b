#include "proxy/upstream_connection.h"

#include "common/proxy_protocol.h"

namespace weir {
namespace {

proxy_protocol::End end_of(const Address& address) {
  return {.host = address.host(), .port = address.port()};
}

ByteBuffer introduction_of(const std::optional<ClientEnds>& client) {
  if (!client) return proxy_protocol::encode({}, {});
  return proxy_protocol::encode(end_of(client->client), end_of(client->reached));
}

}  // namespace

ClientEnds ClientEnds::of(const Socket& socket) {
  return {.client = socket.peer(), .reached = Address::of_socket(socket.fd())};
}

Task<Result<std::unique_ptr<Socket>>> connect_upstream(Resolver& resolver, UpstreamPtr upstream,
                                                       Endpoint endpoint, Deadline deadline,
                                                       std::optional<ClientEnds> client) {
  auto socket = co_await resolver.connect(endpoint.host, endpoint.port, deadline);
  if (!socket) co_return socket;
  if (upstream && upstream->introduced) {
    const ByteBuffer header = introduction_of(client);
    auto told = co_await (*socket)->write(header, deadline);
    if (!told) co_return std::unexpected(told.error());
  }
  co_return socket;
}

}  // namespace weir
