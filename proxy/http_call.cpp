#include "proxy/http_call.h"

#include "common/log.h"

namespace weir {

namespace {

bool is_missing(int status) { return status == 404 || status == 410; }

}  // namespace

int status_for(Errc why) {
  switch (why) {
    case Errc::Timeout: return 504;
    case Errc::Unavailable:
    case Errc::Cancelled: return 503;
    case Errc::NotFound: return 404;
    default: return 502;
  }
}

http::Parsed<HttpCall::Question> HttpCall::question_of(http::Request request,
                                                       const ForwardedFor& how,
                                                       const OriginNaming& naming) {
  auto forwarding = forward(request, how);
  if (!forwarding) return std::unexpected(forwarding.error());
  Question question{.request = {},
                    .key = std::move(forwarding->key),
                    .id = how.mark.id,
                    .needs_host = forwarding->needs_host};
  if (how.requester) question.client = how.requester->ends;
  if (naming.on) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool bodiless = how.framing.kind == http::BodyFraming::None;
    question.for_playlist = reads && bodiless && names_playlist(request.target);
    auto token = take_origin_token(request.target, naming);
    if (token)
      question.named = NamedOrigin{.token = std::move(*token), .binds = !question.for_playlist};
  }
  question.request = std::move(request);
  return question;
}

HttpCall::HttpCall(Context context, Question question, HttpTalk* talk)
    : context_(context),
      question_(std::move(question)),
      talk_(talk),
      dialer_(context.routing, context.resolver, question_.key, Protocol::Http, context.dial) {
  if (question_.named) dialer_.name_first(*question_.named);
  if (question_.client) dialer_.connect_for(*question_.client);
}

Task<Result<HttpAnswer>> HttpCall::ask() {
  std::optional<Error> last;
  std::optional<HttpAnswer> missing;  // the first
  bool only_at_home = false;          // nowhere else than where the stream's route leads
  while (true) {
    auto route = co_await dialer_.choose();
    if (missing && (!route || (only_at_home && !route->remembered))) co_return std::move(*missing);
    if (!route) co_return std::unexpected(last.value_or(route.error()));
    const Route asked = *route;
    auto answered = co_await ask_at(std::move(*route));
    if (!answered) {
      const bool ends = answered.error().code == Errc::Cancelled || (talked_ && !may_repeat());
      if (ends) co_return std::unexpected(answered.error());
      if (talked_) last = answered.error();
      continue;
    }
    const int status = now_.response.status;
    if (status < 400 && !asked.remembered) dialer_.accept();
    if (status < 400 || (!missing && !may_be_elsewhere(asked))) co_return take();
    if (missing) continue;
    missing = take();
    only_at_home = asked.named;
    dialer_.forget_name();
  }
}

// After `asked` has answered.
bool HttpCall::may_be_elsewhere(const Route& asked) const {
  if (!is_missing(now_.response.status) || !may_repeat()) return false;
  if (asked.named) return !question_.named->binds;
  const std::string& method = question_.request.method;
  const bool reads = method == "GET" || method == "HEAD";
  return reads && !asked.held && names_media(question_.request.target);
}

// Over a pooled connection if there is one, and over a new one when that does not do: an origin may
// hang up just when it is asked.
Task<Result<void>> HttpCall::ask_at(Route route) {
  const bool plain = !http::is_websocket_upgrade(question_.request);
  now_.upstream = route.upstream;
  now_.named = route.named;
  talked_ = false;
  const bool clients_own = question_.client && route.upstream->introduced;
  const bool may_share = plain && may_repeat() && !clients_own;
  auto pooled = may_share ? context_.pool.take(route.endpoints()) : std::nullopt;
  if (pooled) {
    context_.reused.add();
    use(std::move(pooled->connection), std::move(pooled->endpoint));
    auto answered = co_await talk();
    if (answered || !may_repeat()) co_return answered;
  }
  auto dialed = co_await dialer_.connect(std::move(route));
  if (!dialed) co_return std::unexpected(dialed.error());
  use(std::make_unique<http::ClientConnection>(std::move(dialed->socket)), dialed->endpoint);
  if (clients_own) now_.connection->keep_from_reuse();
  auto answered = co_await talk();
  if (!answered && answered.error().code != Errc::Cancelled)
    dialer_.reject(answered.error(), Stage::Request);
  co_return answered;
}

void HttpCall::use(std::unique_ptr<http::ClientConnection> connection, Endpoint endpoint) {
  now_.connection = std::move(connection);
  now_.endpoint = std::move(endpoint);
}

// With what belongs to this origin alone.
Task<Result<void>> HttpCall::talk() {
  talked_ = true;
  http::Request request = question_.request;
  bool released = false;
  if (question_.needs_host) request.headers.set("Host", to_string(now_.endpoint));
  if (question_.for_playlist) {
    ask_for_whole(request.headers);
    released = release_tags(request.headers, origin_token(now_.upstream->id), context_.naming);
  }
  const Deadline deadline = context_.loop.in(question_.reply_timeout);
  auto asking = talk_ != nullptr ? talk_->ask(*now_.connection, std::move(request))
                                 : now_.connection->get(std::move(request), deadline);
  auto response = co_await asking;
  if (!response) co_return std::unexpected(response.error());
  understand(std::move(*response), released);
  co_return Result<void>{};
}

void HttpCall::understand(http::Response response, bool tag_released) {
  now_.framing = now_.connection->body().framing();
  now_.response = std::move(response);
  now_.binding.reset();
  if (!context_.naming.on) return;
  const http::Request& request = question_.request;
  http::Headers& headers = now_.response.headers;
  const bool keep_tag = question_.for_playlist;
  std::string token = origin_token(now_.upstream->id);
  if (now_.response.status == 304 && tag_released) bind_validators(headers, token, keep_tag);
  const auto type = playlist_type(request.target, now_.response);
  if (!type || is_bound_by_others(headers, context_.naming)) return;
  if (request.method == "HEAD") {
    bind_validators(headers, token, keep_tag);
    headers.remove("Content-Length");
  } else if (request.method == "GET") {
    const auto host = question_.needs_host ? std::nullopt : request.headers.find("Host");
    const auto& endpoints = now_.upstream->at(Protocol::Http);
    now_.binding = {.type = *type,
                    .uris = OriginUris(token, host.value_or(""), endpoints, context_.naming),
                    .token = token,
                    .keep_tag = keep_tag,
                    .leaves_named = !context_.naming.only.empty()};
  }
}

HttpAnswer HttpCall::take() {
  now_.key = question_.key;
  now_.id = question_.id;
  return std::move(now_);
}

Task<Result<void>> bind_playlist(HttpAnswer& answer, Deadline deadline) {
  if (!answer.binding) co_return Result<void>{};
  std::string& text = answer.beginning;
  bool whole = false;
  while (!whole && text.size() <= kMaxPlaylist) {
    auto piece = co_await answer.connection->read_body(deadline);
    whole = !piece && piece.error().code == Errc::Closed;
    if (!piece && !whole) co_return std::unexpected(piece.error());
    if (piece) text += as_text(*piece);
  }
  auto bound = bind_playlist(text, *answer.binding, answer.response.headers);
  answer.binding.reset();
  answer.begun = true;
  if (bound)
    text = std::move(*bound);
  else
    log::warn("playlist left as it is", {{"id", answer.id},
                                         {"stream", answer.key},
                                         {"upstream", answer.upstream->id},
                                         {"error", bound.error().text}});
  if (whole)
    answer.framing = {http::BodyFraming::Length, text.size()};
  else if (answer.framing.kind == http::BodyFraming::Chunked)
    answer.framing = {http::BodyFraming::UntilClose, 0};
  co_return Result<void>{};
}

}  // namespace weir
