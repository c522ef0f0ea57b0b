#include "common/redis/connection.h"

namespace weir::redis {

Connection::Connection(std::unique_ptr<Socket> socket, ReplyLimits limits)
    : socket_(std::move(socket)), reader_(limits) {}

Task<Result<std::unique_ptr<Connection>>> Connection::open(Resolver& resolver, Endpoint to,
                                                           Deadline deadline,
                                                           const TlsOptions* tls) {
  auto socket = co_await resolver.connect(to.host, to.port, deadline);
  if (!socket) co_return std::unexpected(socket.error());
  if (tls != nullptr) {
    const std::string& name = tls->server_name.empty() ? to.host : tls->server_name;
    auto safe = co_await connect_tls(**socket, tls->context, name, deadline);
    if (!safe) co_return std::unexpected(safe.error());
  }
  auto connection = std::make_unique<Connection>(std::move(*socket));
  co_return std::move(connection);
}

Task<Result<void>> Connection::send(ByteView bytes, Deadline deadline) {
  auto sent = co_await socket_->write(bytes, deadline);
  co_return sent;
}

Task<Result<Reply>> Connection::receive(Deadline deadline) {
  while (true) {
    auto reply = reader_.next();
    if (!reply) co_return std::unexpected(reply.error());
    if (*reply) co_return std::move(**reply);
    const auto scratch = loop().scratch();
    auto got = co_await socket_->read(scratch, deadline);
    if (!got) co_return std::unexpected(got.error());
    reader_.feed(scratch.first(*got));
  }
}

Task<Result<Replies>> Connection::exchange(Commands commands, Deadline deadline) {
  std::string bytes;
  for (const Command& command : commands) append_command(bytes, command);
  auto sent = co_await send(as_bytes(bytes), deadline);
  if (!sent) co_return std::unexpected(sent.error());
  Replies replies;
  while (replies.size() < commands.size()) {
    auto reply = co_await receive(deadline);
    if (!reply) co_return std::unexpected(reply.error());
    replies.push_back(std::move(*reply));
  }
  co_return replies;
}

}  // namespace weir::redis
