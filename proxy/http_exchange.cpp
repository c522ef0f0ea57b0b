#include "proxy/http_exchange.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"
#include "common/log.h"
#include "common/wire/http1_via.h"

namespace weir {

namespace {

constexpr std::size_t kMaxRequestId = 64;
constexpr milliseconds kUploadLinger{1000};

bool is_request_id(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= kMaxRequestId && std::ranges::all_of(text, fits);
}

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

int status_for(Errc why) {
  switch (why) {
    case Errc::Timeout: return 504;
    case Errc::Unavailable:
    case Errc::Cancelled: return 503;
    default: return 502;
  }
}

std::string joined(const http::Headers& headers, std::string_view name, std::string_view last) {
  return fmt::format("{}{}{}", fmt::join(headers.find_all(name), ", "),
                     headers.has(name) ? ", " : "", last);
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

http::Parsed<void> HttpExchange::prepare() {
  auto& headers = request_.headers;
  const auto given = headers.find("X-Request-Id");
  id_ = given && is_request_id(*given) ? std::string(*given)
                                       : fmt::format("{:016x}", relay_.random_());
  if (http::cdn_loop_contains(headers, relay_.options_.node_id)) {
    log::warn("request came back to us: upstreams form a loop",
              {{"id", id_}, {"node", relay_.options_.node_id}, {"path", shown_target_}});
    return http::refuse(508, Errc::Loop, "loop: this node has relayed the request already");
  }
  if (request_.method == "CONNECT")
    return http::refuse(501, Errc::Denied, "CONNECT is not offered");

  const http::Target target = http::target_of(request_);
  const std::string host(target.authority);
  const bool has_query = request_.target.find('?') != std::string::npos;
  std::string origin_form = fmt::format("{}{}{}", target.path, has_query ? "?" : "", target.query);
  auto key = http_route_key(host, origin_form);
  if (!key) return std::unexpected(key.error());
  key_ = std::move(*key);
  request_.target = std::move(origin_form);
  add_forwarding_headers(host);
  return {};
}

void HttpExchange::add_forwarding_headers(const std::string& host) {
  auto& headers = request_.headers;
  http::remove_hop_by_hop(headers, upgrade_ ? http::Upgrade::Keep : http::Upgrade::Remove);
  http::set_framing(headers, client_.body().framing());
  request_.minor_version = 1;
  needs_host_ = host.empty();
  if (!needs_host_) headers.set("Host", host);
  headers.set("X-Forwarded-For",
              joined(headers, "X-Forwarded-For", client_.socket().peer().host()));
  if (!headers.has("X-Forwarded-Proto")) headers.add("X-Forwarded-Proto", "http");
  if (!headers.has("X-Forwarded-Host") && !needs_host_) headers.add("X-Forwarded-Host", host);
  headers.set("X-Request-Id", id_);
  http::add_via(headers, client_version_, relay_.options_.node_id);
  http::add_cdn_loop(headers, relay_.options_.node_id);
}

bool HttpExchange::may_retry() const {
  return !has_body_ && is_safe(request_.method) && !interim_passed_ && !client_.gone();
}

milliseconds HttpExchange::reply_timeout() const {
  const bool blocking = request_.target.find("_HLS_msn=") != std::string::npos;
  return blocking ? relay_.options_.blocking_reply_timeout : relay_.options_.dial.reply_timeout;
}

Task<Result<http::Response>> HttpExchange::ask() {
  auto pooled = co_await ask_pooled();
  if (pooled) co_return std::move(*pooled);
  Dialer dialer(relay_.routing_, relay_.resolver_, key_, Protocol::Http, relay_.options_.dial);
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
  auto route = co_await relay_.routing_.route(key_, Protocol::Http, {});
  if (!route) co_return std::nullopt;
  for (const Endpoint& endpoint : route->endpoints()) {
    upstream_ = relay_.pool_.take(endpoint);
    if (upstream_ == nullptr) continue;
    endpoint_ = endpoint;
    break;
  }
  if (upstream_ == nullptr) co_return std::nullopt;
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
  auto sent = co_await upstream_->send(request_, relay_.loop_.in(reply_timeout()));
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
  if (response.status == 101) {
    co_await relay_upgrade(std::move(response));
    co_return;
  }
  if (!upload_.running()) client_.close_when_gone(&upstream_->socket());
  const http::BodyFraming framing = upstream_->body().framing();
  const bool until_close = framing.kind == http::BodyFraming::UntilClose;
  const bool chunked = framing.kind == http::BodyFraming::Chunked;
  const bool unchunk = chunked && client_version_ == 0;
  keep_ = keep_ && client_.body().ended() && !until_close && !unchunk;
  http::remove_hop_by_hop(response.headers);
  http::set_framing(response.headers,
                    unchunk ? http::BodyFraming{http::BodyFraming::UntilClose, 0} : framing);
  response.minor_version = 1;
  if (!keep_) response.headers.add("Connection", "close");
  if (keep_ && client_version_ == 0) response.headers.add("Connection", "keep-alive");
  if (relay_.options_.cors && !response.headers.has("Access-Control-Allow-Origin"))
    response.headers.add("Access-Control-Allow-Origin", "*");
  status_ = response.status;
  std::string head;
  http::write(response, head);

  // What may last long holds its route.
  std::optional<RouteUse> use;
  auto end_origin = [this] { upstream_->socket().close(); };
  if (until_close || chunked) use.emplace(relay_.routing_, key_, upstream_of_->id, end_origin);
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

// For a client that does not know chunks.
Task<PumpEnd> HttpExchange::relay_content(std::string head, PumpOptions options) {
  PumpEnd end;
  auto sent = co_await client_.socket().write(as_bytes(head), relay_.loop_.in(options.stall));
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
  const RouteUse use(relay_.routing_, key_, upstream_of_->id);
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
  keep_ = keep_ && client_.body().ended();
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
