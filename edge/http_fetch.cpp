#include "edge/http_fetch.h"

#include "cache/http_record.h"
#include "cache/update_interval.h"
#include "common/log.h"
#include "edge/wall_clock.h"

namespace weir {

namespace {

// An origin that never runs dry gives way to the loop's other work after so many pieces.
constexpr int kPiecesPerTurn = 16;
constexpr milliseconds kTierPatience{200};
constexpr std::size_t kLargestList = 1024 * 1024;

milliseconds between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<milliseconds>(to - from);
}

// RFC 9111 4.3.5: whether a response to HEAD is about the stored body.
bool is_about(const http::Response& head, const HttpObject& object) {
  for (const char* name : {"ETag", "Last-Modified"}) {
    const auto said = head.headers.find(name);
    if (said && said != object.headers().find(name)) return false;
  }
  const auto length = head.headers.find("Content-Length");
  return !length || http::parse_content_length(*length) == object.body()->length();
}

}  // namespace

Task<void> HttpFetch::run(HttpCache::Context context, Order order) {
  HttpFetch self(context, std::move(order));
  co_await self.fetch();
}

HttpFetch::HttpFetch(HttpCache::Context context, Order order)
    : context_(context),
      order_(std::move(order)),
      asked_(order_.question.request),
      asked_at_(context.loop.now()) {}

void HttpFetch::ask_about_stale() {
  if (!order_.shared || order_.stale == nullptr || !order_.stale->body()->complete()) return;
  http::Headers& ask = order_.question.request.headers;
  const http::Headers& has = order_.stale->headers();
  const auto tag = has.find("ETag");
  const auto modified = has.find("Last-Modified");
  if (tag) ask.set("If-None-Match", *tag);
  if (modified) ask.set("If-Modified-Since", *modified);
  validating_ = tag || modified;
}

Task<void> HttpFetch::fetch() {
  auto remembered = co_await look_in_tier();
  if (remembered) co_return;
  ask_about_stale();
  context_.tallies.fetches.add();
  HttpCall call(context_.relay.calls(), std::move(order_.question));
  auto answer = co_await call.ask();
  if (!answer) {
    failed(answer.error());
    co_return;
  }
  const http::Response& response = answer->response;
  if (is_origin_failure(response.status) && fall_back_on_stale()) co_return;
  HttpObjectRef renewed;
  if (validating_ && response.status == 304) renewed = freshened(response);
  if (asked_.method == "HEAD") renewed = learn_from_head(response);
  if (renewed != nullptr) {
    settle(std::move(renewed), HttpFill::Came::NotModified);
    context_.relay.pool().put(answer->endpoint, std::move(answer->connection));
    co_return;
  }
  auto bound = co_await bind_playlist(*answer, context_.loop.in(context_.options.origin_idle));
  if (!bound) {
    failed(bound.error());
    co_return;
  }
  auto object = keep(response, answer->framing);
  if (object == nullptr) {
    hand_over(std::move(*answer));
    co_return;
  }
  co_await receive(std::move(*answer), std::move(object));
}

// Whether the tier behind memory has had it, good enough to be used as it is.
Task<bool> HttpFetch::look_in_tier() {
  const std::string_view target = asked_.target;
  const bool segment = http_kind(target.substr(0, target.find('?')), "") == HttpKind::Segment;
  if (context_.tier == nullptr || !order_.shared || order_.stale != nullptr || !segment)
    co_return false;
  auto record =
      co_await get_within(*context_.tier, order_.fill->key(), context_.loop.in(kTierPatience));
  if (!record || !order_.fill->valid() || !context_.store.make_room(record->body_size()))
    co_return false;
  auto object = from_tier(*record, context_.store.memory(), context_.loop.now(),
                          std::chrono::system_clock::now());
  if (object == nullptr) co_return false;
  const auto age = object->age(context_.loop.now());
  if (reuse_of(object->freshness(), age, {}) == HttpReuse::Validate) co_return false;
  context_.tallies.tier_hits.add();
  context_.store.put(*order_.fill, object);
  context_.store.completed(order_.fill->key(), object);
  settle(std::move(object), HttpFill::Came::FromTier);
  co_return true;
}

void HttpFetch::failed(Error why) {
  if (fall_back_on_stale()) return;
  context_.store.end(order_.fill);
  order_.fill->fail(std::move(why));
}

bool HttpFetch::fall_back_on_stale() {
  if (order_.stale == nullptr || !order_.fill->valid()) return false;
  const milliseconds age = order_.stale->age(context_.loop.now());
  if (!usable_on_error(order_.stale->freshness(), age)) return false;
  settle(order_.stale, HttpFill::Came::StaleOnError);
  return true;
}

// The stored object with what the origin says of it now, RFC 9111 4.3.4.
HttpObjectRef HttpFetch::freshened(const http::Response& response) {
  const http::Date now = wall_clock();
  const milliseconds waited = between(asked_at_, context_.loop.now());
  http::Headers news = response.headers;
  clean_for_storing(news, now);
  // A cookie is this asker's alone.
  news.remove("Set-Cookie");
  http::Response renewed{.status = order_.stale->status(),
                         .reason = std::string(http::reason_phrase(order_.stale->status())),
                         .headers = order_.stale->headers()};
  update_headers(renewed.headers, news);
  const bool storable = may_store(asked_, renewed);
  HttpObject::Parts parts{.response = {},
                          .vary = vary_values(renewed.headers, asked_.headers),
                          .kind = order_.stale->kind(),
                          .freshness = freshness_of(order_.stale->kind(), renewed, now, waited,
                                                    context_.options.policy),
                          .received = context_.loop.now(),
                          .body = order_.stale->body()};
  renewed.headers.remove("Age");
  parts.response = std::move(renewed);
  auto object = std::make_shared<HttpObject>(std::move(parts), context_.store.memory());
  complete(object);
  if (storable)
    context_.store.put(*order_.fill, object);
  else
    context_.store.drop(order_.fill->key(), order_.stale);
  return object;
}

// What a response to HEAD says about the stored one; the latter made new, if it is still good.
HttpObjectRef HttpFetch::learn_from_head(const http::Response& response) {
  if (order_.stale == nullptr || is_origin_failure(response.status)) return nullptr;
  if (response.status == order_.stale->status() && is_about(response, *order_.stale))
    return freshened(response);
  context_.store.drop(order_.fill->key(), order_.stale);
  return nullptr;
}

void HttpFetch::settle(HttpObjectRef object, HttpFill::Came came) {
  context_.store.end(order_.fill);
  order_.fill->answer(std::move(object), came);
}

// The object that the response becomes; null when it is not for everybody, or not worth it.
HttpObjectRef HttpFetch::keep(const http::Response& response, http::BodyFraming framing) {
  const http::Date now = wall_clock();
  const milliseconds waited = between(asked_at_, context_.loop.now());
  if (!may_store(asked_, response)) return nullptr;
  http::Response stored = response;
  clean_for_storing(stored.headers, now);
  const std::string_view target = asked_.target;
  const HttpKind kind = http_kind(target.substr(0, target.find('?')),
                                  stored.headers.find("Content-Type").value_or(""));
  const HttpFreshness freshness = freshness_of(kind, stored, now, waited, context_.options.policy);
  if (!worth_storing(freshness, stored.headers)) return nullptr;

  if (order_.only_with_length && framing.kind != http::BodyFraming::Length) return nullptr;
  std::optional<std::uint64_t> length;
  if (framing.kind == http::BodyFraming::Length) length = framing.length;
  if (framing.kind == http::BodyFraming::None) length = 0;
  const std::uint64_t expected = length.value_or(HttpBody::kFirstBlock);
  if (expected > context_.options.object_max || !context_.store.make_room(expected)) return nullptr;
  VaryValues vary = vary_values(stored.headers, asked_.headers);
  stored.headers.remove("Age");
  return std::make_shared<HttpObject>(
      HttpObject::Parts{.response = std::move(stored),
                        .vary = std::move(vary),
                        .kind = kind,
                        .freshness = freshness,
                        .received = context_.loop.now(),
                        .body = std::make_shared<HttpBody>(context_.store.memory(), length)},
      context_.store.memory());
}

void HttpFetch::hand_over(HttpAnswer answer) {
  if (order_.shared) {
    const Clock::time_point until = context_.loop.in(context_.options.private_ttl);
    context_.store.note_private(order_.fill->key(), until);
  }
  if (order_.handover->wanted) order_.handover->answer = std::move(answer);
  context_.store.end(order_.fill);
  order_.fill->keep_private();
}

Task<void> HttpFetch::receive(HttpAnswer answer, HttpObjectRef object) {
  HttpBody& body = *object->body();
  http::ClientConnection& origin = *answer.connection;
  context_.store.put(*order_.fill, object);
  // From here on the object is everybody's.
  settle(object, HttpFill::Came::Whole);
  body.append(as_bytes(answer.beginning));
  bool kept = true;
  int pieces = 0;
  Error why{Errc::Cancelled, "nobody reads it"};
  while (true) {
    if (!kept) {
      auto wanted = co_await wait_for_readers(body);
      if (!wanted) break;
    }
    auto piece = co_await origin.read_body(context_.loop.in(context_.options.origin_idle));
    if (!piece) {
      why = piece.error();
      break;
    }
    context_.tallies.bytes_fetched.add(piece->size());
    body.append(*piece);
    context_.store.make_room(0);
    if (kept && body.size() > context_.options.object_max) {
      kept = false;
      context_.store.drop(order_.fill->key(), object);
      co_await let_askers_begin();
      body.let_go();
    }
    if (++pieces % kPiecesPerTurn != 0) continue;
    auto turn = co_await sleep(context_.loop, milliseconds(0));
    if (!turn) {
      why = turn.error();
      break;
    }
  }
  if (why.code == Errc::Closed) {
    complete(object);
    body.finish();
    // Not what has been purged meanwhile.
    const bool found = kept && context_.store.completed(order_.fill->key(), object);
    if (found && context_.tier != nullptr && fits_tier(*object))
      context_.tier->put(order_.fill->key(),
                         to_tier(object, context_.loop.now(), std::chrono::system_clock::now()));
    context_.relay.pool().put(answer.endpoint, std::move(answer.connection));
    co_return;
  }
  context_.store.drop(order_.fill->key(), object);
  body.break_off();
  if (why.code == Errc::Cancelled) co_return;
  log::warn("origin ended a response too early", {{"id", answer.id},
                                                  {"stream", answer.key},
                                                  {"upstream", answer.upstream->id},
                                                  {"bytes", body.size()},
                                                  {"reason", name(why.code)},
                                                  {"error", why.text}});
}

// Those who have asked, but not begun to read.
Task<void> HttpFetch::let_askers_begin() {
  HttpFill& fill = *order_.fill;
  while (true) {
    const auto seen = fill.changed().now();
    if (!fill.awaited()) co_return;
    auto woken = co_await fill.changed().after(seen, context_.loop.in(context_.options.stall));
    if (!woken) co_return;
  }
}

// For a body that is not kept: false when nobody reads it any more.
Task<bool> HttpFetch::wait_for_readers(HttpBody& body) {
  while (!body.has_room()) {
    const auto seen = body.progress().now();
    if (!body.has_readers()) co_return false;
    if (body.has_room()) break;
    auto woken = co_await body.progress().after(seen, context_.loop.in(context_.options.stall));
    if (!woken && woken.error().code == Errc::Cancelled) co_return false;
  }
  co_return true;
}

// What the body says about the object's lifetime.
void HttpFetch::complete(const HttpObjectRef& object) {
  HttpFreshness freshness = object->freshness();
  const bool is_list = object->kind() == HttpKind::Playlist || object->kind() == HttpKind::Manifest;
  if (!is_list || object->status() != 200 || object->body()->size() > kLargestList) return;
  const ByteBuffer text = object->body()->copy();
  const auto found = update_interval(object->kind(), as_text(text));
  if (!found) return;
  if (found->unchanging && freshness.from_interval)
    freshness.lifetime = context_.options.policy.segment_ttl;
  else if (found->interval)
    apply_interval(freshness, *found->interval, order_.blocking);
  object->settle(freshness);
}

}  // namespace weir
