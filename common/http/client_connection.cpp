#include "common/http/client_connection.h"

namespace weir::http {

Task<Result<void>> ClientConnection::send(Request request, Deadline deadline) {
  method_ = request.method;
  interim_ = 0;
  keep_alive_ = false;
  std::string head;
  weir::http::write(request, head);
  auto sent = co_await write(std::move(head), deadline);
  co_return sent;
}

Task<Result<Response>> ClientConnection::read_head(Deadline deadline) {
  auto head = co_await Connection::read_head(reader_, deadline);
  if (!head) co_return std::unexpected<Error>(head.error());
  if (head->status / 100 == 1 && head->status != 101) {
    if (++interim_ > kMaxInterim) co_return fail(Errc::Limit, "too many interim responses");
  } else {
    begin_body(framing_of(*head, method_));
    keep_alive_ = head->status != 101 && keeps_alive(*head);
  }
  co_return std::move(*head);
}

Task<Result<Response>> ClientConnection::get(Request request, Deadline deadline) {
  auto sent = co_await send(std::move(request), deadline);
  if (!sent) co_return std::unexpected(sent.error());
  while (true) {
    auto head = co_await read_head(deadline);
    if (!head || head->status / 100 != 1) co_return std::move(head);
    if (head->status == 101) co_return fail(Errc::Protocol, "upgrade that nobody asked for");
  }
}

bool ClientConnection::reusable() const {
  const bool framed = body().framing().kind != BodyFraming::UntilClose;
  return reuse_ && keep_alive_ && framed && body().ended() && unread().empty() &&
         socket().is_open();
}

}  // namespace weir::http
