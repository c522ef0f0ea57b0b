#include "proxy/upstream_connection.h"

#include "common/proxy_protocol.h"

namespace weir {
namespace {

proxy_protocol::End end_of(const Address& address) {
  return {.host = address.host(), .port = address.port()};
}

bool is_ip6(const Address& address) { return address.host().find(':') != std::string::npos; }

ByteBuffer introduction_of(const std::optional<ClientEnds>& ends) {
  if (!ends) return proxy_protocol::encode({}, {});
  // A header is of one family, which must be the client's for rules by address to be about it.
  const bool known = is_ip6(ends->client) == is_ip6(ends->reached);
  const auto nowhere = Address::parse(is_ip6(ends->client) ? "::" : "0.0.0.0", 0);
  return proxy_protocol::encode(end_of(ends->client), end_of(known ? ends->reached : *nowhere));
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
  if (!endpoint.tls) co_return socket;
  const UpstreamTls* tls = upstream ? upstream->tls.get() : nullptr;
  if (tls == nullptr) co_return fail(Errc::Denied, "TLS with an upstream that is not configured");
  const std::string& host = tls->name.empty() ? endpoint.host : tls->name;
  auto agreed = co_await connect_tls(**socket, tls->context, host, deadline);
  if (!agreed) co_return std::unexpected(agreed.error());
  co_return socket;
}

}  // namespace weir
