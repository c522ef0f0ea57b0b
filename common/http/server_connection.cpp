#include "common/http/server_connection.h"

#include "common/http/forwarded.h"
#include "common/sessions.h"
#include "common/stream_key.h"

namespace weir::http {

namespace {

constexpr milliseconds kLinger{1000};

// What asks for a stream by its own name; segments have names of theirs.
std::string_view protocol_of(std::string_view extension) {
  if (extension == "m3u8") return "hls";
  if (extension == "mpd") return "dash";
  if (extension == "flv") return "flv";
  return {};
}

}  // namespace

ServerConnection::ServerConnection(std::unique_ptr<Socket> socket, ServerTimes times,
                                   const Limits& limits, Admission* admission)
    : Connection(std::move(socket)),
      times_(times),
      reader_(limits),
      admission_(admission),
      sender_(this->socket().peer()),
      record_(Sessions::current() != nullptr ? Sessions::current()->witness() : nullptr,
              this->socket()),
      asked_(loop().now()) {
  session_.emplace(
      SessionFacts{.protocol = "http", .peer = this->socket().peer(), .connection = true},
      this->socket());
}

ServerConnection::~ServerConnection() { end_record(); }

void ServerConnection::answered(int status) {
  if (session_ && status < 400) session_->begin();
  record_.answered(status);
}

void ServerConnection::end_record() {
  if (!record_.open()) return;
  if (session_) return record_.end(session_->facts(), session_->id(), session_->ended());
  const SessionFacts unlisted{.protocol = "http", .peer = socket().peer(), .connection = true};
  record_.end(unlisted, {}, std::nullopt);
}

void ServerConnection::note(Request& request) {
  asked_ = loop().now();
  record_.begin(request, asked_);
  const Sessions* all = Sessions::current();
  if (all == nullptr || !session_) return;
  session_->set_idle(false);
  if (all->draining() && !is_websocket_upgrade(request)) request.headers.set("Connection", "close");
  if (session_->nameless())
    session_->introduce(request.headers.find("User-Agent").value_or(""),
                        request.headers.find("Referer").value_or(""));
  const Target target = target_of(request);
  const auto dot = target.path.rfind('.');
  const auto protocol =
      dot == target.path.npos ? std::string_view{} : protocol_of(target.path.substr(dot + 1));
  if (protocol.empty()) return;
  const auto stream = stream_from_http(target.authority, target.path);
  if (stream) session_->describe(protocol, stream->key());
}

Parsed<void> ServerConnection::learn_client(Request& request) {
  const auto hops = admission_ != nullptr ? admission_->hops() : nullptr;
  auto told = take_client(request.headers, sender_, hops.get());
  if (!told) return refuse(400, told.error().code, told.error().text);
  const Address client = told->value_or(sender_);
  const bool other = client.host() != sender_.host();
  if (other) place_ = admission_->admit_behind_hop(client);
  if (other && !place_) return refuse(429, Errc::Limit, "too many requests of one address");
  socket().set_peer(other ? client : sender_);
  if (session_) session_->set_peer(socket().peer());
  return {};
}

Task<Parsed<Request>> ServerConnection::read_request() {
  end_record();
  place_.reset();
  if (!body().ended()) co_return refuse(0, Errc::Closed, "the last request's body was not read");
  Deadline deadline = loop().in(times_.head);
  // Whoever has just connected has not been answered yet: that is no idle connection.
  const bool between = !std::exchange(first_, false) && unread().empty();
  if (session_) session_->set_idle(between);
  if (between) {
    auto came = co_await receive(loop().in(times_.idle));
    if (!came) co_return refuse(0, came.error().code, came.error().text);
    deadline = loop().in(times_.head);
  }
  auto head = co_await read_head(reader_, deadline);
  if (head) begin_body(framing_of(*head));
  auto known = head ? learn_client(*head) : Parsed<void>{};
  if (head) note(*head);
  if (!known) co_return std::unexpected(known.error());
  const bool slow = !head && head.error().code == Errc::Timeout && !reader_.idle();
  if (slow) co_return refuse(408, Errc::Timeout, "the head did not come in time");
  co_return std::move(head);
}

Task<Result<void>> ServerConnection::respond(std::string bytes) {
  if (const int status = final_status(bytes); status != 0) answered(status);
  auto sent = co_await write(std::move(bytes), loop().in(times_.write));
  if (!sent) failed(sent.error().code);
  co_return sent;
}

Task<void> ServerConnection::refuse_with(Refusal why) {
  if (why.status == 0) co_return;
  if (!record_.open()) record_.begin_without_one(loop().now());
  failed(why.code);
  const std::string text = why.text + '\n';
  const Headers close{{"Connection", "close"}};
  auto sent = co_await respond(simple_response(why.status, "text/plain", text, close));
  if (sent) co_await close_gently();
}

Task<void> ServerConnection::close_gently() {
  end_record();
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
