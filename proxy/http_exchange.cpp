#include "proxy/http_exchange.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"
#include "common/log.h"
#include "proxy/http_forwarding.h"

namespace weir {

namespace {

constexpr milliseconds kUploadLinger{1000};

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

int status_for(Errc why) {
  switch (why) {
    case Errc::Timeout: return 504;
    case Errc::Unavailable:
    case Errc::Cancelled: return 503;
    case Errc::NotFound: return 404;
    default: return 502;
  }
}

}  // namespace

HttpExchange::HttpExchange(HttpRelay& relay, http::ServerConnection& client, http::Request request)
    : relay_(relay),
      client_(client),
      request_(std::move(request)),
      client_version_(request_.minor_version),
      keeps_alive_(http::keeps_alive(request_)),
      has_body_(!client.body().ended()),
      upgrade_(!has_body_ && http::is_websocket_upgrade(request_)),
      shown_target_(log::redact_args(request_.target)),
      began_(relay.loop_.now()),
      upload_(relay.loop_) {}

Task<bool> HttpExchange::run() {
  relay_.tallies_.requests.add();
  keep_ = keeps_alive_;
  auto ready = prepare();
  if (!ready) {
    end_ = ready.error().text;
    co_await answer(ready.error().status, ready.error().text);
    co_await finish();
    co_return keep_;
  }
  auto response = co_await ask();
  if (response) {
    if (on_response_) on_response_(*response);
    const auto playlist = playlist_in(*response);
    if (playlist)
      co_await relay_playlist(std::move(*response), *playlist);
    else
      co_await relay(std::move(*response));
  } else if (client_.gone()) {
    end_ = "client left";
    keep_ = false;
  } else if (bad_body_) {
    end_ = "client: " + bad_body_->text;
    co_await answer(bad_body_->code == Errc::Timeout ? 408 : 400, bad_body_->text);
  } else {
    end_ = response.error().text;
    co_await answer(status_for(response.error().code),
                    "no origin answered: " + response.error().text);
  }
  co_await finish();
  co_return keep_;
}

Task<bool> HttpExchange::pass_on(HttpAnswer answer) {
  relay_.tallies_.requests.add();
  keep_ = keeps_alive_;
  key_ = std::move(answer.key);
  id_ = std::move(answer.id);
  upstream_ = std::move(answer.connection);
  upstream_of_ = std::move(answer.upstream);
  endpoint_ = std::move(answer.endpoint);
  co_await relay(std::move(answer.response));
  co_await finish();
  co_return keep_;
}

http::Parsed<void> HttpExchange::prepare() {
  id_ = request_id(request_.headers);
  auto forwarded = forward(request_, {.node_id = relay_.options_.node_id,
                                      .id = id_,
                                      .client = client_.socket().peer(),
                                      .framing = client_.body().framing(),
                                      .upgrade = upgrade_});
  if (!forwarded) return std::unexpected(forwarded.error());
  key_ = std::move(forwarded->key);
  needs_host_ = forwarded->needs_host;
  if (relay_.options_.origin_tokens) want_origin();
  return {};
}

void HttpExchange::want_origin() {
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  for_playlist_ = reads && !has_body_ && names_playlist(request_.target);
  if (for_playlist_) ask_for_whole(request_.headers);
  auto token = take_origin_token(request_.target);
  if (token) named_ = NamedOrigin{.token = std::move(*token), .binds = !for_playlist_};
}

bool HttpExchange::may_retry() const {
  return !has_body_ && is_safe(request_.method) && !interim_passed_ && !client_.gone();
}

milliseconds HttpExchange::reply_timeout() const {
  const bool blocking = request_.target.find("_HLS_msn=") != std::string::npos;
  return blocking ? relay_.options_.blocking_reply_timeout : relay_.options_.dial.reply_timeout;
}

Task<Result<http::Response>> HttpExchange::ask() {
  auto response = co_await ask_origins();
  if (!response) co_return std::move(response);
  const bool elsewhere = co_await moved_on(response->status);
  if (!elsewhere) co_return std::move(response);
  drop_upstream();
  auto second = co_await ask_origins();
  co_return std::move(second);
}

Task<bool> HttpExchange::moved_on(int status) {
  const bool missing = status == 404 || status == 410;
  if (!missing || !named_ || named_->binds || !may_retry()) co_return false;
  named_.reset();
  auto route = co_await relay_.routing_.route(key_, Protocol::Http, {});
  co_return route && route->upstream->id != upstream_of_->id;
}

Task<Result<http::Response>> HttpExchange::ask_origins() {
  auto pooled = co_await ask_pooled();
  if (pooled) co_return std::move(*pooled);
  Dialer dialer(relay_.routing_, relay_.resolver_, key_, Protocol::Http, relay_.options_.dial);
  if (named_) dialer.name_first(*named_);
  std::optional<Error> last;
  while (true) {
    auto dialed = co_await dialer.next();
    if (!dialed) co_return std::unexpected(last.value_or(dialed.error()));
    upstream_ = std::make_unique<http::ClientConnection>(std::move(dialed->socket));
    upstream_of_ = dialed->upstream;
    endpoint_ = dialed->endpoint;
    auto response = co_await attempt();
    if (response) {
      if (!dialed->remembered && response->status < 400) dialer.accept();
      co_return std::move(response);
    }
    if (client_.gone()) co_return std::move(response);
    dialer.reject(response.error(), Stage::Request);
    if (!may_retry()) co_return std::move(response);
    drop_upstream();
    last = response.error();
  }
}

// Only for what may be asked twice, as an origin may hang up just when it is asked.
Task<std::optional<Result<http::Response>>> HttpExchange::ask_pooled() {
  if (relay_.pool_.empty() || upgrade_ || !may_retry()) co_return std::nullopt;
  auto route = co_await relay_.routing_.route(key_, Protocol::Http, {}, named_);
  if (!route) co_return std::nullopt;
  auto pooled = relay_.pool_.take(route->endpoints());
  if (!pooled) co_return std::nullopt;
  upstream_ = std::move(pooled->connection);
  endpoint_ = std::move(pooled->endpoint);
  upstream_of_ = route->upstream;
  relay_.tallies_.reused.add();
  auto response = co_await attempt();
  if (response || !may_retry()) co_return std::move(response);
  drop_upstream();
  co_return std::nullopt;
}

Task<Result<http::Response>> HttpExchange::attempt() {
  if (needs_host_) request_.headers.set("Host", to_string(endpoint_));
  if (!has_body_ && !upgrade_) client_.close_when_gone(&upstream_->socket());
  http::Request request = request_;
  if (for_playlist_) release_tags(request.headers, origin_token(upstream_of_->id));
  auto sent = co_await upstream_->send(std::move(request), relay_.loop_.in(reply_timeout()));
  // An origin that does not read may have answered all the same.
  if (!sent && sent.error().code != Errc::Reset) co_return std::unexpected(sent.error());
  asked_at_ = relay_.loop_.now();
  if (has_body_ && sent) {
    upload_.start(upload());
  }
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

Task<Result<http::Response>> HttpExchange::await_response() {
  while (true) {
    const auto from = upload_.running() ? relay_.loop_.now() : asked_at_;
    auto head = co_await upstream_->read_head(from + reply_timeout());
    if (head || head.error().code != Errc::Timeout) co_return std::move(head);
    const bool late = !upload_.running() && relay_.loop_.now() >= asked_at_ + reply_timeout();
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

Task<void> HttpExchange::relay(http::Response response) {
  if (auto* session = client_.session()) session->set_upstream(upstream_of_->id);
  if (response.status == 101) {
    co_await relay_upgrade(std::move(response));
    co_return;
  }
  if (!upload_.running()) client_.close_when_gone(&upstream_->socket());
  const http::BodyFraming framing = upstream_->body().framing();
  const bool until_close = framing.kind == http::BodyFraming::UntilClose;
  const bool chunked = framing.kind == http::BodyFraming::Chunked;
  const bool unchunk = chunked && client_version_ == 0;
  if (for_playlist_ && response.status == 304)
    bind_validators(response.headers, origin_token(upstream_of_->id), true);
  std::string head = head_of(
      std::move(response), unchunk ? http::BodyFraming{http::BodyFraming::UntilClose, 0} : framing);

  // What may last long holds its route, unless a token and not the route led here.
  std::optional<RouteUse> use;
  auto end_origin = [this] { upstream_->socket().close(); };
  if ((until_close || chunked) && !named_)
    use.emplace(relay_.routing_, key_, upstream_of_->id, end_origin);
  const PumpOptions options{.idle = relay_.options_.origin_idle,
                            .stall = relay_.options_.stall,
                            .tally = &relay_.tallies_.bytes_to_clients};
  if (unchunk) {
    auto end = co_await relay_content(std::move(head), options);
    note_end(end);
  } else {
    auto end = co_await upstream_->pump_body(client_.socket(), options, std::move(head));
    note_end(end);
  }
}

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

// The one that is to be bound, if any.
std::optional<PlaylistType> HttpExchange::playlist_in(const http::Response& response) const {
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  if (!relay_.options_.origin_tokens || !reads || has_body_) return std::nullopt;
  return playlist_type(request_.target, response);
}

Task<void> HttpExchange::relay_playlist(http::Response response, PlaylistType type) {
  if (request_.method == "HEAD") {
    bind_validators(response.headers, origin_token(upstream_of_->id), for_playlist_);
    response.headers.remove("Content-Length");
    co_await relay(std::move(response));
    co_return;
  }
  auto body = co_await read_playlist(*upstream_, relay_.loop_.in(relay_.options_.origin_idle));
  if (!body) {
    end_ = client_.gone() ? "client left" : "origin: " + body.error().text;
    co_await answer(status_for(body.error().code), "broken playlist: " + body.error().text);
    co_return;
  }
  bind(*body, type, response.headers);
  http::BodyFraming framing = upstream_->body().framing();
  if (body->whole)
    framing = {http::BodyFraming::Length, body->text.size()};
  else if (framing.kind == http::BodyFraming::Chunked)
    framing = {http::BodyFraming::UntilClose, 0};
  std::string head = head_of(std::move(response), framing);
  head += body->text;
  const PumpOptions options{.idle = relay_.options_.origin_idle,
                            .stall = relay_.options_.stall,
                            .tally = &relay_.tallies_.bytes_to_clients};
  auto end = co_await relay_content(std::move(head), options);
  note_end(end);
}

// The text and its validators, or neither.
void HttpExchange::bind(PlaylistBody& body, PlaylistType type, http::Headers& headers) const {
  const std::string token = origin_token(upstream_of_->id);
  const auto host = needs_host_ ? std::nullopt : request_.headers.find("Host");
  const OriginUris uris(token, host.value_or(""), upstream_of_->at(Protocol::Http));
  auto bound = body.whole ? bind_playlist(body.text, type, uris)
                          : fail(Errc::Limit, fmt::format("more than {} bytes", kMaxPlaylist));
  if (!bound) {
    log::warn("playlist left as it is",
              {{"id", id_}, {"path", shown_target_}, {"error", bound.error().text}});
    return;
  }
  body.text = std::move(*bound);
  bind_validators(headers, token, for_playlist_);
}

// What is left of the body, without the chunks that it may come in.
Task<PumpEnd> HttpExchange::relay_content(std::string head, PumpOptions options) {
  PumpEnd end;
  auto sent = co_await client_.socket().write(as_bytes(head), relay_.loop_.in(options.stall));
  if (sent) {
    end.bytes = head.size();
    options.tally->add(head.size());
  }
  while (sent) {
    auto piece = co_await upstream_->read_body(relay_.loop_.in(options.idle));
    if (!piece) {
      end.complete = piece.error().code == Errc::Closed;
      end.why = piece.error();
      co_return std::move(end);
    }
    const ByteView bytes = *piece;
    sent = co_await client_.socket().write(bytes, relay_.loop_.in(options.stall));
    if (!sent) break;
    end.bytes += bytes.size();
    options.tally->add(bytes.size());
  }
  end.side = PumpEnd::Side::To;
  end.why = sent.error();
  co_return std::move(end);
}

Task<void> HttpExchange::relay_upgrade(http::Response response) {
  keep_ = false;
  status_ = response.status;
  std::string head;
  http::remove_hop_by_hop(response.headers, http::Upgrade::Keep);
  response.minor_version = 1;
  http::write(response, head);
  head += as_text(upstream_->unread());
  std::optional<RouteUse> use;
  if (!named_) use.emplace(relay_.routing_, key_, upstream_of_->id);
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
}

Task<void> HttpExchange::answer(int status, std::string text) {
  relay_.tallies_.failures.add();
  status_ = status;
  keep_ = keep_ && client_.body().ended() && status != 400;
  http::Headers extra{{"X-Request-Id", id_}, {"Cache-Control", "no-store"}};
  if (!keep_) extra.add("Connection", "close");
  std::string response = http::simple_response(status, "text/plain", text + '\n', extra);
  if (request_.method == "HEAD") response.resize(response.find("\r\n\r\n") + 4);
  auto sent = co_await client_.respond(std::move(response));
  if (!sent) keep_ = false;
}

void HttpExchange::note_end(const PumpEnd& end) {
  bytes_ = end.bytes;
  if (end.complete) return;
  keep_ = false;
  if (client_.gone()) {
    end_ = "client left";
  } else {
    end_ =
        fmt::format("{}: {}", end.side == PumpEnd::Side::From ? "origin" : "client", end.why.text);
  }
}

Task<void> HttpExchange::finish() {
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
  if (upstream_ != nullptr && status_ != 101) relay_.pool_.put(endpoint_, std::move(upstream_));
  upstream_ = nullptr;
  log_end();
  if (!keep_ && status_ != 101) co_await client_.close_gently();
}

void HttpExchange::drop_upstream() {
  client_.close_when_gone(nullptr);
  upstream_ = nullptr;
}

void HttpExchange::log_end() const {
  const auto took = std::chrono::duration_cast<milliseconds>(relay_.loop_.now() - began_);
  log::info("http request",
            {{"id", id_},
             {"peer", client_.socket().peer().text()},
             {"method", request_.method},
             {"path", shown_target_},
             {"stream", key_},
             {"upstream", upstream_of_ ? std::string_view(upstream_of_->id) : "none"},
             {"status", status_},
             {"bytes", bytes_},
             {"ms", took.count()},
             {"end", end_}});
}

}  // namespace weir
