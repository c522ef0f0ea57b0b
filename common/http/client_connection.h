// common/http/client_connection.h
// A connection to a server of HTTP/1.1: a request out, its response in.
//
//     ClientConnection origin(std::move(socket));
//     auto response = co_await origin.get(request, loop.in(3s));
//     while (auto piece = co_await origin.read_body(loop.in(3s))) { ... }   // until Errc::Closed
//
// Threading and bounds: Connection's; kMaxInterim responses before the final one.
#pragma once

#include "common/http/connection.h"

namespace weir::http {

class ClientConnection final : public Connection {
 public:
  static constexpr int kMaxInterim = 16;

  explicit ClientConnection(std::unique_ptr<Socket> socket, const Limits& limits = {})
      : Connection(std::move(socket)), reader_(limits) {}

  // The head alone; its body, if it has one, is the caller's to write. REQUIRES: the headers say
  // how the body is framed and whom it is for.
  Task<Result<void>> send(Request request, Deadline deadline);
  // The next response head, 100 Continue and the like included. Errors: Closed when the server
  // ended the connection instead, Reset inside a head, Limit after kMaxInterim, Protocol, and the
  // socket's.
  Task<Result<Response>> read_head(Deadline deadline);
  // Both, without a body, skipping what is not the final response.
  Task<Result<Response>> get(Request request, Deadline deadline);

  // The response was read whole and another request may follow.
  bool reusable() const;
  // No other may, whatever the server says.
  void keep_from_reuse() { reuse_ = false; }

 private:
  ResponseReader reader_;
  std::string method_;
  int interim_ = 0;
  bool keep_alive_ = false;
  bool reuse_ = true;
};

}  // namespace weir::http
