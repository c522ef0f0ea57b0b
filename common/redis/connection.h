// common/redis/connection.h
// One connection to a Redis server or sentinel, used by one coroutine in turn: what is said at the
// start, one-off questions, and the subscriber's. Many callers at once share a Pipeline instead.
//
// The transport is a Socket: TLS to Redis, when it comes, is a matter of the socket handed over.
//
// Threading: one loop's. Bounds: ReplyLimits, and what one exchange() sends.
#pragma once

#include <memory>
#include <string>

#include "common/endpoint.h"
#include "common/io/resolver.h"
#include "common/redis/reply.h"

namespace weir::redis {

class Connection {
 public:
  explicit Connection(std::unique_ptr<Socket> socket, ReplyLimits limits = {});

  // Errors: Resolver::connect.
  static Task<Result<std::unique_ptr<Connection>>> open(Resolver& resolver, Endpoint to,
                                                        Deadline deadline);

  Loop& loop() const { return socket_->loop(); }
  std::string peer() const { return socket_->peer().text(); }

  // Sends `bytes`, made by append_command(), which must live until then. Errors: Socket::write.
  Task<Result<void>> send(ByteView bytes, Deadline deadline);
  // The next reply, or message of a subscription. After Timeout one may ask again. Errors:
  // Socket::read, ReplyReader::next.
  Task<Result<Reply>> receive(Deadline deadline);
  // Sends all at once and reads as many replies. Error replies are replies.
  Task<Result<Replies>> exchange(Commands commands, Deadline deadline);

  void close() { socket_->close(); }

 private:
  std::unique_ptr<Socket> socket_;
  ReplyReader reader_;
};

}  // namespace weir::redis
