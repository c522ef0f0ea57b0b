#include "edge/http_visit.h"

#include <spdlog/fmt/fmt.h>

#include <array>

#include "cache/http_key.h"
#include "common/log.h"

namespace weir {

namespace {

// Conditions that ask what this client has, or the origin's present state.
constexpr std::array<std::string_view, 4> kConditions = {"If-None-Match", "If-Modified-Since",
                                                         "If-Range", "Range"};

// Whatever their contents, they take the same time to compare.
bool same_secret(std::string_view given, std::string_view wanted) {
  unsigned differs = given.size() == wanted.size() ? 0 : 1;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    differs |= static_cast<unsigned char>(wanted[i]) ^
               static_cast<unsigned char>(i < given.size() ? given[i] : 0);
  return differs == 0;
}

std::string_view bearer_of(const http::Headers& headers) {
  const std::string_view credentials = headers.find("Authorization").value_or("");
  const bool bearer =
      credentials.size() > 7 && http::same_ignoring_case(credentials.substr(0, 7), "Bearer ");
  return bearer ? http::trim(credentials.substr(7)) : std::string_view();
}

}  // namespace

HttpVisit::HttpVisit(const HttpCache::Context& context, http::ServerConnection& client,
                     http::Request request, Wants wants)
    : context_(context),
      client_(client),
      request_(std::move(request)),
      wants_(wants),
      control_(request_control(request_.headers)) {}

Task<std::optional<bool>> HttpVisit::run() {
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  const bool plain = client_.body().ended() && !http::is_websocket_upgrade(request_);
  const http::Target target = http::target_of(request_);
  std::string origin_form(target.path);
  if (!target.query.empty()) origin_form.append("?").append(target.query);
  key_ = http_cache_key(target.authority, origin_form, context_.options.ignored_arguments);
  auto steps = request_.method == "PURGE" ? purge() : reads && plain ? look() : relay();
  const Next next = co_await steps;
  if (next == Next::NoObject) co_return std::nullopt;
  co_return next == Next::Keep;
}

Task<HttpVisit::Next> HttpVisit::relay() {
  context_.tallies.passed.add();
  HttpExchange exchange(context_.relay, client_, request_);
  if (is_unsafe(request_.method))
    exchange.on_response([this](const http::Response& response) { forget(response); });
  auto keep = co_await exchange.run();
  co_return next(keep);
}

// RFC 9111 4.4: what a successful unsafe request may have changed.
void HttpVisit::forget(const http::Response& response) {
  if (response.status < 200 || response.status >= 400) return;
  forget(key_);
  for (const char* name : {"Location", "Content-Location"}) {
    const auto reference = response.headers.find(name);
    if (reference) forget(http_cache_key_of_reference(key_, *reference));
  }
}

bool HttpVisit::forget(const std::string& key) {
  if (context_.tier != nullptr) context_.tier->erase(key);
  return context_.store.purge(key);
}

std::size_t HttpVisit::forget_all(const std::string& prefix) {
  if (context_.tier != nullptr) context_.tier->erase_prefix(prefix);
  return context_.store.purge_prefix(prefix);
}

Task<HttpVisit::Next> HttpVisit::purge() {
  const std::string& token = context_.options.purge_token;
  const bool allowed = !token.empty() && same_secret(bearer_of(request_.headers), token);
  if (!allowed) {
    auto refused = co_await answer(token.empty() ? 405 : 403, "PURGE wants the operator's token");
    co_return refused;
  }
  const bool many = key_.ends_with('*');
  const std::size_t purged =
      many ? forget_all(key_.substr(0, key_.size() - 1)) : std::size_t{forget(key_)};
  log::info("purged", {{"key", log::redact_args(key_)}, {"entries", purged}});
  // Nobody waits to hear from the tier what it had.
  const bool known = purged > 0 || context_.tier != nullptr;
  auto told = co_await answer(known ? 200 : 404, fmt::format("purged {}", purged));
  co_return told;
}

Task<HttpVisit::Next> HttpVisit::look() {
  for (int looks = 0; looks < kMaxLooks; ++looks) {
    const Next next = co_await look_once();
    if (next != Next::LookAgain) co_return next;
  }
  const Next next = co_await ask_alone();
  co_return next;
}

Task<HttpVisit::Next> HttpVisit::look_once() {
  auto found = context_.store.find(key_, request_.headers);
  stale_ = nullptr;
  why_ = found.other ? Forwarded::VaryMiss : Forwarded::UriMiss;
  const auto use = found.object ? use_of(*found.object) : std::nullopt;
  if (use && *use != HttpReuse::Validate) {
    (*use == HttpReuse::Fresh ? context_.tallies.hits : context_.tallies.stale).add();
    if (*use == HttpReuse::Stale) {
      stale_ = found.object;
      refresh_behind_the_scenes();
    }
    const milliseconds left =
        found.object->freshness().lifetime - found.object->age(context_.loop.now());
    http::CacheStatus hit;
    hit.ttl = std::chrono::floor<std::chrono::seconds>(left);
    const Next next = co_await reply(std::move(found.object), hit);
    co_return next;
  }
  if (use) {
    stale_ = std::move(found.object);
    why_ = control_.no_cache || control_.max_age ? Forwarded::Request : Forwarded::Stale;
  }
  if (control_.only_if_cached) {
    const Next next = co_await answer(504, "not in the cache, and only-if-cached");
    co_return next;
  }
  auto asking = wants_origin_itself() ? ask_alone() : ask_shared();
  const Next next = co_await asking;
  co_return next;
}

std::optional<HttpReuse> HttpVisit::use_of(const HttpObject& object) const {
  if (object.body()->state() == HttpBody::State::Broken) return std::nullopt;
  return reuse_of(object.freshness(), object.age(context_.loop.now()), control_);
}

// What nobody else can be told along with this client.
bool HttpVisit::wants_origin_itself() const {
  const http::Headers& headers = request_.headers;
  return request_.method == "HEAD" || control_.no_store || headers.has("If-Match") ||
         headers.has("If-Unmodified-Since");
}

Task<HttpVisit::Next> HttpVisit::ask_shared() {
  auto joined = context_.store.join(key_, request_.headers, context_.loop.now());
  if (!joined) {
    // It was no object a moment ago. To ask again for each viewer of a live pipe would be a herd.
    if (wants_ == Wants::Object) co_return Next::NoObject;
    const Next next = co_await ask_alone();
    co_return next;
  }
  HttpAsker asker(joined->fill);
  Handover handover = joined->mine ? std::make_shared<HttpHandover>() : nullptr;
  if (joined->mine) {
    auto begun = begin(joined->fill, true, handover);
    if (!begun) {
      const Next next = co_await answer(begun.error().status, begun.error().text);
      co_return next;
    }
  } else {
    context_.tallies.coalesced.add();
  }
  const Next next = co_await after(std::move(asker), std::move(handover));
  co_return next;
}

Task<HttpVisit::Next> HttpVisit::ask_alone() {
  auto fill = std::make_shared<HttpFill>(key_, VaryValues{});
  HttpAsker asker(fill);
  auto handover = std::make_shared<HttpHandover>();
  auto begun = begin(std::move(fill), false, handover);
  if (!begun) {
    const Next refused = co_await answer(begun.error().status, begun.error().text);
    co_return refused;
  }
  const Next next = co_await after(std::move(asker), std::move(handover));
  co_return next == Next::LookAgain ? Next::Close : next;
}

http::Parsed<void> HttpVisit::begin(HttpFillRef fill, bool shared, Handover handover) {
  const HttpRelayOptions& relay = context_.relay.options();
  const HopMark mark = hop_mark_of(request_.headers);
  std::optional<Requester> requester;
  if (!shared) requester = Requester::of(client_);
  auto question = HttpCall::question_of(request_,
                                        {.node_id = context_.options.node_id,
                                         .mark = mark,
                                         .requester = requester,
                                         .max_hops = relay.max_hops},
                                        relay.naming);
  if (!question) {
    context_.store.end(fill);
    fill->fail(question.error());
    return std::unexpected(question.error());
  }
  // A fetch for all leaves out what only this client wants to know.
  if (shared)
    for (const std::string_view name : kConditions) question->request.headers.remove(name);
  question->reply_timeout = is_held_back()
                                ? std::max(relay.dial.reply_timeout, context_.options.hold)
                                : relay.dial.reply_timeout;
  const bool may_stand = shared || request_.method == "HEAD";
  context_.loop.spawn(HttpFetch::run(context_, {.fill = std::move(fill),
                                                .shared = shared,
                                                .stale = may_stand ? stale_ : nullptr,
                                                .question = std::move(*question),
                                                .blocking = is_blocking_reload(request_.target),
                                                .only_with_length = wants_ == Wants::Object,
                                                .handover = std::move(handover)}));
  return {};
}

// A blocking reload, or a part that a playlist has announced: it is given when it exists.
bool HttpVisit::is_held_back() const {
  const http::Target target = http::target_of(request_);
  return target.query.find("_HLS_") != std::string_view::npos ||
         http_kind(target.path, "") == HttpKind::Segment;
}

void HttpVisit::refresh_behind_the_scenes() {
  auto joined = context_.store.join(key_, request_.headers, context_.loop.now());
  if (!joined || !joined->mine) return;
  auto nobody = std::make_shared<HttpHandover>();
  nobody->wanted = false;
  // Nobody waits to hear why not.
  static_cast<void>(begin(std::move(joined->fill), true, std::move(nobody)));
}

Task<Result<void>> HttpVisit::wait_for(HttpFill& fill) {
  Wait wait(context_.loop);
  bool gone = false;
  const auto watch = client_.socket().when_gone([&] {
    gone = true;
    if (wait.waiting()) context_.loop.resume_soon(wait.take_cancelled());
  });
  while (true) {
    const auto seen = fill.changed().now();
    if (fill.state() != HttpFill::State::Asked) co_return Result<void>{};
    if (gone) co_return fail(Errc::Closed, "client left");
    // The fetch has deadlines of its own; it always ends.
    auto woken = co_await fill.changed().after(seen, wait, Deadline::max());
    if (!woken && !gone) co_return woken;
  }
}

Task<HttpVisit::Next> HttpVisit::after(HttpAsker asker, Handover handover) {
  HttpFill& fill = asker.fill();
  auto settled = co_await wait_for(fill);
  if (!settled) {
    if (handover != nullptr) handover->wanted = false;
    co_return Next::Close;
  }
  if (fill.state() == HttpFill::State::Failed) {
    if (wants_ == Wants::Object) co_return Next::NoObject;
    client_.failed(fill.error().code);
    const Next next =
        co_await answer(status_for(fill.error().code), "no origin answered: " + fill.error().text);
    co_return next;
  }
  if (fill.state() == HttpFill::State::Private) {
    if (handover == nullptr || !handover->answer) co_return Next::LookAgain;
    const Next next = co_await take_over(std::move(*handover->answer));
    co_return next;
  }
  const HttpObjectRef object = fill.object();
  const bool selected = matches(object->vary(), request_.headers);
  const bool readable = object->body()->state() != HttpBody::State::Broken;
  if (!selected || !readable) co_return Next::LookAgain;
  const http::CacheStatus status = status_after(fill, handover != nullptr);
  const Next next = co_await reply(object, status, std::move(asker));
  co_return next;
}

// The response is this client's alone.
Task<HttpVisit::Next> HttpVisit::take_over(HttpAnswer response) {
  const bool is_object =
      response.response.status < 400 && response.framing.kind == http::BodyFraming::Length;
  if (wants_ == Wants::Object && !is_object) co_return Next::NoObject;
  context_.tallies.passed.add();
  HttpExchange exchange(context_.relay, client_, request_);
  auto keep = co_await exchange.pass_on(std::move(response));
  co_return next(keep);
}

http::CacheStatus HttpVisit::status_after(const HttpFill& fill, bool mine) {
  http::CacheStatus status;
  status.forwarded = why_;
  status.collapsed = !mine;
  switch (fill.came()) {
    case HttpFill::Came::Whole:
      if (mine) context_.tallies.misses.add();
      status.stored = true;
      break;
    case HttpFill::Came::NotModified:
      if (mine) context_.tallies.validated.add();
      status.status = 304;
      break;
    case HttpFill::Came::StaleOnError:
      context_.tallies.stale.add();
      status.forwarded = Forwarded::Hit;
      break;
    case HttpFill::Came::FromTier: status.forwarded = Forwarded::Hit; break;
  }
  return status;
}

Task<HttpVisit::Next> HttpVisit::reply(HttpObjectRef object, http::CacheStatus status,
                                       std::optional<HttpAsker> asker) {
  if (wants_ == Wants::Object && object->status() >= 400) co_return Next::NoObject;
  HttpReply reply(client_, request_, std::move(object), status,
                  {.cache_name = context_.options.node_id,
                   .stall = context_.options.stall,
                   .patience = context_.options.origin_idle + context_.options.stall,
                   .cors = context_.options.cors,
                   .bytes = context_.tallies.bytes});
  if (asker) asker->leave();
  if (!reply.readable()) co_return Next::LookAgain;
  auto keep = co_await reply.send();
  co_return next(keep);
}

Task<HttpVisit::Next> HttpVisit::answer(int status, std::string text) {
  const bool keep = http::keeps_alive(request_) && client_.body().ended() && status != 400;
  http::Headers extra{{"Cache-Control", "no-store"}};
  if (!keep) extra.add("Connection", "close");
  if (context_.options.cors) extra.add("Access-Control-Allow-Origin", "*");
  std::string response = http::simple_response(status, "text/plain", text + '\n', extra);
  if (request_.method == "HEAD") response.resize(response.find("\r\n\r\n") + 4);
  if (status >= 500) context_.tallies.failures.add();
  auto sent = co_await client_.respond(std::move(response));
  co_return next(sent && keep);
}

}  // namespace weir
