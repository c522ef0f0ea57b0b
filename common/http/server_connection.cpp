#include "common/http/server_connection.h"

namespace weir::http {

namespace {
constexpr milliseconds kLinger{1000};
}  // namespace

Task<Parsed<Request>> ServerConnection::read_request() {
  if (!body().ended()) co_return refuse(0, Errc::Closed, "the last request's body was not read");
  Deadline deadline = loop().in(times_.head);
  if (!std::exchange(first_, false) && unread().empty()) {
    auto came = co_await receive(loop().in(times_.idle));
    if (!came) co_return refuse(0, came.error().code, came.error().text);
    deadline = loop().in(times_.head);
  }
  auto head = co_await read_head(reader_, deadline);
  if (head) begin_body(framing_of(*head));
  const bool slow = !head && head.error().code == Errc::Timeout && !reader_.idle();
  if (slow) co_return refuse(408, Errc::Timeout, "the head did not come in time");
  co_return std::move(head);
}

Task<Result<void>> ServerConnection::respond(std::string bytes) {
  auto sent = co_await write(std::move(bytes), loop().in(times_.write));
  co_return sent;
}

Task<void> ServerConnection::refuse_with(Refusal why) {
  if (why.status == 0) co_return;
  const std::string text = why.text + '\n';
  const Headers close{{"Connection", "close"}};
  auto sent = co_await respond(simple_response(why.status, "text/plain", text, close));
  if (sent) co_await close_gently();
}

Task<void> ServerConnection::close_gently() {
  socket().shut_down_writes();
  const Deadline deadline = loop().in(kLinger);
  while (!gone() && loop().now() < deadline) {
    drop_unread();
    auto received = co_await receive(deadline);
    if (!received) break;
  }
  socket().close();
}

}  // namespace weir::http
