#include "proxy/whip_exchange.h"

#include <spdlog/fmt/fmt.h>

#include "common/log.h"
#include "proxy/access/access_requests.h"
#include "proxy/hop_mark.h"
#include "proxy/http_call.h"
#include "proxy/http_forwarding.h"
#include "proxy/problem_response.h"
#include "proxy/whip_json.h"

namespace weir {

namespace {

constexpr std::uint16_t kDiscard = 9;
constexpr std::uint32_t kHostPriority = 2130706431;  // RFC 8839 5.1.2.1

// A description that somebody sent, as the refusal it deserves.
http::Refusal refusal_of(const Error& why, int status) {
  return {{why.code, why.text}, why.code == Errc::Limit && status == 400 ? 413 : status};
}

bool is_description(const http::Response& response) {
  const std::string_view type = response.headers.find("Content-Type").value_or("");
  const std::string_view plain = http::trim(type.substr(0, type.find(';')));
  return http::same_ignoring_case(plain, "application/sdp") ||
         http::same_ignoring_case(plain, "application/trickle-ice-sdpfrag");
}

}  // namespace

WhipExchange::WhipExchange(Context context, http::ServerConnection& client, http::Request request,
                           WhipRequest whip)
    : context_(context),
      client_(client),
      request_(std::move(request)),
      whip_(std::move(whip)),
      shown_target_(log::redact_args(request_.target)),
      keeps_alive_(http::keeps_alive(request_)) {}

Task<bool> WhipExchange::run() {
  auto body = co_await read_request_body();
  if (!body) {
    auto kept = co_await refuse(body.error().status, body.error().text);
    co_return kept;
  }
  auto ready = prepare(std::move(*body));
  if (!ready) {
    auto kept = co_await refuse(ready.error().status, ready.error().text);
    co_return kept;
  }
  if (Access::current() != nullptr && request_.method == "POST") {
    auto refusal = co_await ask_access();
    if (refusal) {
      http::Headers extra;
      add_challenge(*refusal, extra);
      auto kept = co_await refuse(refusal->http_status(), refusal->text, std::move(extra));
      co_return kept;
    }
  }
  auto response = co_await ask();
  if (!response) {
    auto kept = co_await refuse(status_for(response.error().code),
                                "no origin answered: " + response.error().text);
    co_return kept;
  }
  auto text =
      co_await origin_->read_all(kMaxBody, context_.loop.in(context_.options.dial.reply_timeout));
  if (!text) {
    auto kept = co_await refuse(502, "origin: " + text.error().text);
    co_return kept;
  }
  origin_.reset();
  auto answer = co_await answer_for_client(*response, std::move(*text));
  if (!answer) {
    auto kept = co_await refuse(answer.error().status, "origin: " + answer.error().text);
    co_return kept;
  }
  auto kept = co_await send(std::move(*answer));
  log::info("webrtc signalling", {{"id", id_},
                                  {"peer", client_.socket().peer().text()},
                                  {"method", request_.method},
                                  {"path", shown_target_},
                                  {"stream", key_},
                                  {"upstream", upstream_->id},
                                  {"session", session_},
                                  {"status", response->status}});
  co_return kept;
}

Task<http::Parsed<std::string>> WhipExchange::read_request_body() {
  if (request_.headers.has_token("Expect", "100-continue")) {
    auto told = co_await client_.respond("HTTP/1.1 100 Continue\r\n\r\n");
    if (!told) co_return http::refuse(400, told.error().code, told.error().text);
  }
  auto body = co_await client_.read_all(kMaxBody, context_.loop.in(context_.options.write_timeout));
  if (body) co_return std::move(*body);
  const int status = body.error().code == Errc::Limit     ? 413
                     : body.error().code == Errc::Timeout ? 408
                                                          : 400;
  co_return http::refuse(status, body.error().code, body.error().text);
}

http::Parsed<void> WhipExchange::prepare(std::string body) {
  body_ = std::move(body);
  const HopMark mark = hop_mark_of(request_.headers);
  id_ = mark.id;
  auto token = take_origin_token(request_.target);
  if (token) named_ = NamedOrigin{.token = std::move(*token), .binds = true};
  session_ = take_session(request_.target).value_or("");
  if (session_.empty() && request_.method == "POST") session_ = random_id();

  std::string stream = whip_.stream_target;
  std::string offer = body_;
  if (whip_.body == WhipRequest::Body::Json) {
    auto url = json_text(body_, "streamurl");
    auto sdp = json_text(body_, "sdp");
    if (!url || !sdp) return http::refuse(400, Errc::Protocol, "streamurl and sdp are wanted");
    auto target = target_of_webrtc_url(*url);
    if (!target) return http::refuse(400, Errc::Protocol, target.error().text);
    stream = std::move(*target);
    offer = std::move(*sdp);
  }
  const http::Target target = http::target_of(request_);
  const std::string host(target.authority);
  query_ = stream.substr(std::min(stream.find('?'), stream.size() - 1) + 1);
  if (query_ != target.query) query_.append("&").append(target.query);
  auto key = http_route_key(host, stream);
  if (!key) return std::unexpected(key.error());
  auto forwarded = forward(
      request_,
      {.node_id = context_.options.node_id, .mark = mark, .requester = Requester::of(client_)});
  if (!forwarded) return std::unexpected(forwarded.error());
  key_ = std::move(*key);
  needs_host_ = forwarded->needs_host;
  for (const char* name : {"Accept-Encoding", "Expect"}) request_.headers.remove(name);
  if (whip_.body != WhipRequest::Body::None) return prepare_offer(offer);
  return {};
}

http::Parsed<void> WhipExchange::prepare_offer(std::string_view sdp) {
  auto ice = sdp::read_ice(sdp);
  if (!ice) return std::unexpected(refusal_of(ice.error(), 400));
  if (whip_.body != WhipRequest::Body::Fragment && ice->credentials.empty())
    return http::refuse(400, Errc::Protocol, "no ICE credentials in the offer");
  client_ice_ = std::move(ice->credentials);
  publishes_ = !ice->receives;
  offer_ = sdp;
  return {};
}

// A session that is there is reached by who knows its URL; a new one is asked about. What the URL
// does not say, the offer does: who would send media publishes.
Task<std::optional<AccessRefusal>> WhipExchange::ask_access() {
  const bool publishes = whip_.publishes.value_or(publishes_);
  AccessRequest access =
      access_to_stream(publishes ? AccessAction::Publish : AccessAction::Play, "webrtc", key_,
                       query_, client_.socket().peer(), session_.empty() ? id_ : session_);
  access.authorization = request_.headers.find("Authorization").value_or("");
  access.page_url = request_.headers.find("Referer").value_or("");
  auto permit = co_await Access::current()->may(std::move(access));
  if (!permit) co_return std::move(permit.error());
  grant_ = std::move(*permit);
  co_return std::nullopt;
}

Task<Result<http::Response>> WhipExchange::ask() {
  auto response = co_await ask_over(Protocol::Api);
  const bool elsewhere =
      !response && upstream_ == nullptr &&
      (response.error().code == Errc::Unavailable || response.error().code == Errc::NotFound);
  if (!elsewhere) co_return std::move(response);
  auto second = co_await ask_over(Protocol::Http);
  co_return std::move(second);
}

Task<Result<http::Response>> WhipExchange::ask_over(Protocol protocol) {
  Dialer dialer(context_.routing, context_.resolver, key_, protocol, context_.options.dial);
  dialer.connect_for(ClientEnds::of(client_.socket()));
  if (named_) dialer.name_first(*named_);
  auto dialed = co_await dialer.next();
  if (!dialed) co_return std::unexpected(dialed.error());
  upstream_ = dialed->upstream;
  if (needs_host_) request_.headers.set("Host", to_string(dialed->endpoint));
  origin_ = std::make_unique<http::ClientConnection>(std::move(dialed->socket));
  auto response = co_await ask_one();
  if (!response)
    dialer.reject(response.error(), Stage::Request);
  else if (!dialed->remembered && response->status < 400)
    dialer.accept();
  co_return std::move(response);
}

// The client's own candidates stay here: the origin would write to them past us. It gets one that
// nobody answers at, for some give up when there is none; the true address comes with the checks.
Task<Result<http::Response>> WhipExchange::ask_one() {
  const sdp::Candidate nobody{.address = Address::of_socket(origin_->socket().fd()).host(),
                              .port = kDiscard,
                              .priority = kHostPriority};
  std::string body = body_;
  switch (whip_.body) {
    case WhipRequest::Body::None: break;
    case WhipRequest::Body::Fragment: body = sdp::with_candidates(offer_, {}); break;
    case WhipRequest::Body::Sdp: body = sdp::with_candidates(offer_, {&nobody, 1}); break;
    case WhipRequest::Body::Json: {
      auto json = with_json_text(body_, "sdp", sdp::with_candidates(offer_, {&nobody, 1}));
      if (!json) co_return std::unexpected(json.error());
      body = std::move(*json);
      break;
    }
  }
  http::Request request = request_;
  const auto kind = body.empty() ? http::BodyFraming::None : http::BodyFraming::Length;
  if (body.empty()) request.headers.remove("Content-Length");
  http::set_framing(request.headers, {.kind = kind, .length = body.size()});
  const Deadline deadline = context_.loop.in(context_.options.dial.reply_timeout);
  auto sent = co_await origin_->send(std::move(request), deadline);
  if (sent && !body.empty()) sent = co_await origin_->write(std::move(body), deadline);
  // An origin that does not read may have answered all the same.
  if (!sent && sent.error().code != Errc::Reset) co_return std::unexpected(sent.error());
  while (true) {
    auto head = co_await origin_->read_head(deadline);
    if (!head || head->status / 100 != 1) co_return std::move(head);
    if (head->status == 101) co_return fail(Errc::Protocol, "upgrade that nobody asked for");
  }
}

Task<http::Parsed<std::string>> WhipExchange::answer_for_client(http::Response& response,
                                                                std::string body) {
  const bool good = response.status / 100 == 2;
  if (good && request_.method == "DELETE") co_await context_.directory.end(session_);
  if (good && whip_.body == WhipRequest::Body::Json) {
    auto sdp = json_text(body, "sdp");  // missing when SRS refused
    if (sdp) {
      auto ours = co_await take_answer(std::move(*sdp));
      if (!ours) co_return std::unexpected(ours.error());
      auto json = with_json_text(body, "sdp", *ours);
      if (json) body = std::move(*json);
    }
  } else if (good && !body.empty() && is_description(response)) {
    auto ours = co_await take_answer(std::move(body));
    if (!ours) co_return std::unexpected(ours.error());
    body = std::move(*ours);
  }
  const auto location = response.headers.find("Location");
  if (good && request_.method == "POST" && location)
    response.headers.set("Location",
                         mapped_location(*location, origin_token(upstream_->id), session_));
  http::remove_hop_by_hop(response.headers);
  response.minor_version = 1;
  const bool bodiless = response.status == 204 || response.status == 304;
  http::set_framing(response.headers,
                    {.kind = bodiless ? http::BodyFraming::None : http::BodyFraming::Length,
                     .length = body.size()});
  if (!keeps_alive_) response.headers.add("Connection", "close");
  std::string out;
  http::write(response, out);
  if (!bodiless) out += body;
  co_return std::move(out);
}

// From here on the session's packets are expected.
Task<http::Parsed<std::string>> WhipExchange::take_answer(std::string sdp) {
  auto ice = sdp::read_ice(sdp);
  if (!ice) co_return std::unexpected(refusal_of(ice.error(), 502));
  WebrtcSession session{.id = session_,
                        .stream = key_,
                        .upstream = upstream_->id,
                        .publishes = whip_.publishes.value_or(publishes_),
                        .expires = grant_.expires(),
                        .checks = checks_of(ice->credentials, client_ice_),
                        .media = {}};
  std::optional<WebrtcSession> known;
  if (request_.method != "POST") known = co_await context_.directory.session(session_);
  if (known) {
    session.stream = known->stream;  // a session's URL says nothing about it
    session.publishes = known->publishes;
    session.expires = known->expires;
  }
  const Deadline deadline = context_.loop.in(context_.options.dial.connect_timeout);
  session.media = co_await media_addresses(context_.resolver, *upstream_, *ice, deadline);
  if (session.media.empty() && known) session.media = std::move(known->media);
  if (!session.checks.empty() && !session.media.empty() && !session_.empty()) {
    auto told = co_await context_.directory.announce(context_.loop, std::move(session));
    if (!told) co_return std::unexpected(refusal_of(told.error(), 503));
    if (request_.method == "POST")
      context_.directory.hold(session_, std::make_shared<Grant>(std::move(grant_)));
  } else if (request_.method == "POST") {
    co_return http::refuse(502, Errc::Protocol, "an answer without ICE credentials or addresses");
  }
  const Address reached = Address::of_socket(client_.socket().fd());
  auto ours = co_await own_candidates(context_.resolver, context_.options, reached, deadline);
  co_return sdp::with_candidates(sdp, ours);
}

Task<bool> WhipExchange::refuse(int status, std::string why, http::Headers extra) {
  log::info("webrtc signalling refused", {{"id", id_},
                                          {"peer", client_.socket().peer().text()},
                                          {"method", request_.method},
                                          {"path", shown_target_},
                                          {"stream", key_},
                                          {"status", status},
                                          {"error", why}});
  auto kept = co_await send(problem_response(status, why, id_, keeps_alive_, extra));
  co_return kept;
}

Task<bool> WhipExchange::send(std::string bytes) {
  auto sent = co_await client_.respond(std::move(bytes));
  const bool keep = sent && keeps_alive_ && client_.body().ended();
  if (!keep) co_await client_.close_gently();
  co_return keep;
}

Task<Signalled> serve_signalling(WhipExchange::Context context, http::ServerConnection& client,
                                 http::Request& request) {
  auto whip = whip_request(request);
  if (!whip) {
    auto told = co_await client.respond(
        problem_response(whip.error().status, whip.error().text, "", false));
    if (told) co_await client.close_gently();
    co_return Signalled::Closed;
  }
  if (!*whip) co_return Signalled::NotTaken;
  WhipExchange exchange(context, client, std::move(request), std::move(**whip));
  auto goes_on = co_await exchange.run();
  co_return goes_on ? Signalled::On : Signalled::Closed;
}

}  // namespace weir
