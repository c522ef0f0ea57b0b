#include "common/introduction.h"

#include <array>

#include "common/proxy_protocol.h"

namespace weir {

Task<Result<void>> introduce(Socket& socket, Deadline deadline) {
  std::array<std::uint8_t, proxy_protocol::kMaxHeader> bytes;
  std::size_t seen = 0;
  while (true) {
    auto got = co_await socket.peek(bytes, seen, deadline);
    if (!got) co_return std::unexpected(got.error());
    seen = *got;
    auto header = proxy_protocol::parse(ByteView(bytes).first(seen));
    if (!header) co_return std::unexpected(header.error());
    if (!*header) continue;
    auto taken = socket.try_read(std::span(bytes).first((**header).size));
    if (!taken) co_return std::unexpected(taken.error());
    INVARIANT(*taken == (**header).size);
    if (!(**header).client) co_return Result<void>{};
    auto client = Address::parse((**header).client->host, (**header).client->port);
    if (!client) co_return std::unexpected(client.error());
    socket.set_peer(*client);
    co_return Result<void>{};
  }
}

}  // namespace weir
