#include "proxy/http_exchange.h"

#include <spdlog/fmt/fmt.h>

#include "common/log.h"

namespace weir {

namespace {

constexpr milliseconds kUploadLinger{1000};

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

}  // namespace

HttpExchange::HttpExchange(HttpRelay& relay, http::ServerConnection& client, http::Request request)
    : relay_(relay),
      client_(client),
      request_(std::move(request)),
      method_(request_.method),
      client_version_(request_.minor_version),
      has_body_(!client.body().ended()),
      upgrade_(!has_body_ && http::is_websocket_upgrade(request_)),
      shown_target_(log::redact_args(request_.target)),
      reply_timeout_(is_blocking_reload(request_.target) ? relay.options_.blocking_reply_timeout
                                                         : relay.options_.dial.reply_timeout),
      began_(relay.loop_.now()),
      upload_(relay.loop_),
      keep_(http::keeps_alive(request_)) {
  relay_.tallies_.requests.add();
}

Task<bool> HttpExchange::run() {
  auto question = prepare();
  if (!question) {
    end_ = question.error().text;
    co_await answer(question.error().status, question.error().text);
    const bool keep = co_await finish();
    co_return keep;
  }
  key_ = question->key;
  call_.emplace(relay_.calls(), std::move(*question), static_cast<HttpTalk*>(this));
  auto answered = co_await call_->ask();
  if (!answered) client_.close_when_gone(nullptr);
  if (answered && on_response_) on_response_(answered->response);
  auto passing = answered ? deliver(std::move(*answered)) : fail_with(answered.error());
  co_await passing;
  const bool keep = co_await finish();
  co_return keep;
}

Task<bool> HttpExchange::pass_on(HttpAnswer answer) {
  key_ = answer.key;
  id_ = answer.id;
  co_await deliver(std::move(answer));
  const bool keep = co_await finish();
  co_return keep;
}

http::Parsed<HttpCall::Question> HttpExchange::prepare() {
  const HopMark mark = hop_mark_of(request_.headers);
  id_ = mark.id;
  return HttpCall::question_of(std::move(request_),
                               {.node_id = relay_.options_.node_id,
                                .mark = mark,
                                .requester = Requester::of(client_),
                                .framing = client_.body().framing(),
                                .upgrade = upgrade_,
                                .max_hops = relay_.options_.max_hops},
                               relay_.options_.naming);
}

bool HttpExchange::may_repeat() const {
  return !has_body_ && is_safe(method_) && !interim_passed_ && !client_.gone();
}

Task<Result<http::Response>> HttpExchange::ask(http::ClientConnection& origin,
                                               http::Request request) {
  upstream_ = &origin;
  if (!has_body_ && !upgrade_) client_.close_when_gone(&origin.socket());
  auto response = co_await converse(std::move(request));
  if (response) co_return std::move(response);
  client_.close_when_gone(nullptr);
  if (client_.gone()) co_return fail(Errc::Cancelled, "client left");
  co_return std::move(response);
}

Task<Result<http::Response>> HttpExchange::converse(http::Request request) {
  if (client_.gone()) co_return fail(Errc::Cancelled, "client left");
  auto sent = co_await upstream_->send(std::move(request), relay_.loop_.in(reply_timeout_));
  // An origin that does not read may have answered all the same.
  if (!sent && sent.error().code != Errc::Reset) co_return std::unexpected(sent.error());
  asked_at_ = relay_.loop_.now();
  if (has_body_ && sent) upload_.start(upload());
  while (true) {
    auto head = co_await await_response();
    if (!head || head->status / 100 != 1) co_return std::move(head);
    if (head->status == 101) {
      const bool agreed = upgrade_ && http::is_websocket_upgrade(*head);
      if (!agreed) co_return fail(Errc::Protocol, "origin switched protocols unasked");
      co_return std::move(head);
    }
    if (client_version_ == 0) continue;
    std::string text;
    http::remove_hop_by_hop(head->headers);
    http::write(*head, text);
    interim_passed_ = true;
    auto passed = co_await client_.respond(std::move(text));
    if (!passed) co_return std::unexpected(passed.error());
  }
}

// The origin's time begins when it has got all of the request.
Task<Result<http::Response>> HttpExchange::await_response() {
  while (true) {
    const auto from = upload_.running() ? relay_.loop_.now() : asked_at_;
    auto head = co_await upstream_->read_head(from + reply_timeout_);
    if (head || head.error().code != Errc::Timeout) co_return std::move(head);
    const bool late = !upload_.running() && relay_.loop_.now() >= asked_at_ + reply_timeout_;
    if (late) co_return std::move(head);
  }
}

Task<void> HttpExchange::upload() {
  const PumpOptions options{.idle = relay_.options_.times.idle,
                            .stall = relay_.options_.stall,
                            .tally = &relay_.tallies_.bytes_to_origins};
  auto end = co_await client_.pump_body(upstream_->socket(), options);
  asked_at_ = relay_.loop_.now();
  if (end.complete) {
    client_.close_when_gone(&upstream_->socket());
  } else if (end.side == PumpEnd::Side::From) {
    if (!client_.gone()) bad_body_ = end.why;
    upstream_->socket().close();
  }
}

Task<void> HttpExchange::deliver(HttpAnswer answered) {
  answer_ = std::move(answered);
  if (auto* session = client_.session()) session->set_upstream(answer_.upstream->id);
  upstream_ = answer_.connection.get();
  if (!upload_.running()) client_.close_when_gone(&upstream_->socket());
  auto bound = co_await bind_playlist(answer_, relay_.loop_.in(relay_.options_.origin_idle));
  if (!bound) {
    end_ = client_.gone() ? "client left" : "origin: " + bound.error().text;
    co_await answer(status_for(bound.error().code), "broken playlist: " + bound.error().text);
    co_return;
  }
  auto passing = answer_.response.status == 101 ? relay_upgrade() : relay();
  co_await passing;
}

Task<void> HttpExchange::relay() {
  http::BodyFraming framing = answer_.framing;
  const bool chunked = framing.kind == http::BodyFraming::Chunked;
  const bool unchunk = chunked && client_version_ == 0;
  if (unchunk) framing = {http::BodyFraming::UntilClose, 0};
  const bool until_close = framing.kind == http::BodyFraming::UntilClose;
  const bool good = answer_.response.status < 400;
  std::string head = head_of(std::move(answer_.response), framing);
  head += answer_.beginning;
  client_.answered(status_);

  // What may last long holds its route, unless a token and not the route led here.
  std::optional<RouteUse> use;
  auto end_origin = [this] { upstream_->socket().close(); };
  if ((until_close || chunked) && good && !answer_.named)
    use.emplace(relay_.routing_, key_, answer_.upstream->id, end_origin);
  const PumpOptions options{.idle = relay_.options_.origin_idle,
                            .stall = relay_.options_.stall,
                            .tally = &relay_.tallies_.bytes_to_clients};
  const bool content_alone = unchunk || answer_.begun;
  auto pumping = content_alone ? upstream_->pump_content(client_.socket(), options, std::move(head))
                               : upstream_->pump_body(client_.socket(), options, std::move(head));
  auto end = co_await pumping;
  note_end(end);
}

// For the client; decides whether its connection goes on.
std::string HttpExchange::head_of(http::Response response, http::BodyFraming framing) {
  keep_ = keep_ && client_.body().ended() && framing.kind != http::BodyFraming::UntilClose;
  http::remove_hop_by_hop(response.headers);
  http::set_framing(response.headers, framing);
  response.minor_version = 1;
  if (!keep_) response.headers.add("Connection", "close");
  if (keep_ && client_version_ == 0) response.headers.add("Connection", "keep-alive");
  if (relay_.options_.cors && !response.headers.has("Access-Control-Allow-Origin"))
    response.headers.add("Access-Control-Allow-Origin", "*");
  status_ = response.status;
  std::string head;
  http::write(response, head);
  return head;
}

Task<void> HttpExchange::relay_upgrade() {
  keep_ = false;
  http::Response response = std::move(answer_.response);
  status_ = response.status;
  std::string head;
  http::remove_hop_by_hop(response.headers, http::Upgrade::Keep);
  response.minor_version = 1;
  http::write(response, head);
  head += as_text(upstream_->unread());
  std::optional<RouteUse> use;
  if (!answer_.named) use.emplace(relay_.routing_, key_, answer_.upstream->id);
  client_.answered(status_);
  auto granted = co_await client_.write(std::move(head), relay_.loop_.in(relay_.options_.stall));
  if (!granted) {
    end_ = "client: " + granted.error().text;
    co_return;
  }
  std::string early(as_text(client_.unread()));
  auto passed = co_await upstream_->write(std::move(early), relay_.loop_.in(relay_.options_.stall));
  if (!passed) {
    end_ = "origin: " + passed.error().text;
    co_return;
  }
  const RelayOptions options{.stall = relay_.options_.stall,
                             .a_to_b = &relay_.tallies_.bytes_to_origins,
                             .b_to_a = &relay_.tallies_.bytes_to_clients};
  auto end = co_await relay_both(client_.socket(), upstream_->socket(), options);
  bytes_ = end.b_to_a.bytes;
  const PumpEnd& first = end.a_ended_it ? end.a_to_b : end.b_to_a;
  end_ = fmt::format("{}: {}", end.a_ended_it ? "client" : "origin", first.why.text);
  client_.failed(first.why.code);
}

// Nobody has answered.
Task<void> HttpExchange::fail_with(const Error& why) {
  client_.failed(client_.gone() ? Errc::Closed : bad_body_ ? bad_body_->code : why.code);
  if (client_.gone()) {
    end_ = "client left";
    keep_ = false;
  } else if (bad_body_) {
    end_ = "client: " + bad_body_->text;
    co_await answer(bad_body_->code == Errc::Timeout ? 408 : 400, bad_body_->text);
  } else {
    end_ = why.text;
    co_await answer(status_for(why.code), "no origin answered: " + why.text);
  }
}

Task<void> HttpExchange::answer(int status, std::string text) {
  relay_.tallies_.failures.add();
  status_ = status;
  keep_ = keep_ && client_.body().ended() && status != 400;
  http::Headers extra{{"X-Request-Id", id_}, {"Cache-Control", "no-store"}};
  if (!keep_) extra.add("Connection", "close");
  std::string response = http::simple_response(status, "text/plain", text + '\n', extra);
  if (method_ == "HEAD") response.resize(response.find("\r\n\r\n") + 4);
  auto sent = co_await client_.respond(std::move(response));
  if (!sent) keep_ = false;
}

void HttpExchange::note_end(const PumpEnd& end) {
  bytes_ = end.bytes;
  if (end.complete) return;
  keep_ = false;
  client_.failed(client_.gone() ? Errc::Closed : end.why.code);
  if (client_.gone()) {
    end_ = "client left";
  } else {
    end_ =
        fmt::format("{}: {}", end.side == PumpEnd::Side::From ? "origin" : "client", end.why.text);
  }
}

Task<bool> HttpExchange::finish() {
  if (upload_.running()) {
    // Answered before the body was read: it is not wanted, and its client is told by our end.
    keep_ = false;
    upstream_->socket().close();
    client_.socket().shut_down_writes();
    Cutoff cutoff(client_.socket(), client_.socket());
    cutoff.after(kUploadLinger);
    co_await upload_.join();
  }
  client_.close_when_gone(nullptr);
  if (answer_.connection != nullptr && status_ != 101)
    relay_.pool_.put(answer_.endpoint, std::move(answer_.connection));
  log_end();
  if (!keep_ && status_ != 101) co_await client_.close_gently();
  co_return keep_;
}

void HttpExchange::log_end() const {
  const auto took = std::chrono::duration_cast<milliseconds>(relay_.loop_.now() - began_);
  const UpstreamPtr upstream =
      answer_.upstream != nullptr || !call_ ? answer_.upstream : call_->asked();
  log::info("http request", {{"id", id_},
                             {"peer", client_.socket().peer().text()},
                             {"method", method_},
                             {"path", shown_target_},
                             {"stream", key_},
                             {"upstream", upstream ? std::string_view(upstream->id) : "none"},
                             {"status", status_},
                             {"bytes", bytes_},
                             {"ms", took.count()},
                             {"end", end_}});
}

}  // namespace weir
