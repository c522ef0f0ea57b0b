// common/redis/connection.h
// One connection to a Redis server or sentinel, used by one coroutine in turn: what is said at the
// start, one-off questions, and the subscriber's. Many callers at once share a Pipeline instead.
//
// Threading: one loop's. Bounds: ReplyLimits, and what one exchange() sends.
#pragma once

#include <memory>
#include <string>

#include "common/endpoint.h"
#include "common/io/resolver.h"
#include "common/io/tls.h"
#include "common/redis/reply.h"

namespace weir::redis {

struct TlsOptions {
  TlsContext context;
  std::string server_name;  // that the certificate is for; empty: the host connected to
};

class Connection {
 public:
  explicit Connection(std::unique_ptr<Socket> socket, ReplyLimits limits = {});

  // `tls`, unless null, must live until then. Errors: Resolver::connect, connect_tls.
  static Task<Result<std::unique_ptr<Connection>>> open(Resolver& resolver, Endpoint to,
                                                        Deadline deadline,
                                                        const TlsOptions* tls = nullptr);

  Loop& loop() const { return socket_->loop(); }
  std::string peer() const { return socket_->peer().text(); }

  // Sends `bytes`, made by append_command(), which must live until then. Errors:
  // Socket::write.
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
