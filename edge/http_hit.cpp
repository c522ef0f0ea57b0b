#include "edge/http_hit.h"

#include <algorithm>
#include <array>

#include "cache/http_key.h"
#include "edge/http_reply.h"

namespace weir {

namespace {

// With any of these it takes more to know the answer.
constexpr std::array<std::string_view, 10> kNotPlain = {
    "Range",         "If-None-Match", "If-Modified-Since",
    "If-Match",      "If-Range",      "If-Unmodified-Since",
    "Cache-Control", "Pragma",        "Upgrade",
    "Expect"};

bool is_plain(const http::Request& request) {
  if (request.method != "GET" || !request.target.starts_with('/')) return false;
  return std::ranges::none_of(request.headers, [](const http::Header& field) {
    return std::ranges::any_of(kNotPlain, [&field](std::string_view name) {
      return http::same_ignoring_case(name, field.name);
    });
  });
}

}  // namespace

std::optional<HttpHit::Answer> HttpHit::answer(http::ServerConnection& client,
                                               const http::Request& request) {
  if (!is_plain(request) || !client.body().ended()) return std::nullopt;
  key_.clear();
  append_http_cache_key(request.headers.find("Host").value_or(""), request.target,
                        context_.options.ignored_arguments, key_);
  auto found = context_.store.find(key_, request.headers);
  if (found.object == nullptr) return std::nullopt;
  const HttpObject& object = *found.object;
  const Clock::time_point now = context_.loop.now();
  const HttpFreshness freshness = object.freshness();
  const milliseconds age = object.age(now);
  const bool fresh = reuse_of(freshness, age, {}) == HttpReuse::Fresh;
  // An error may mean that the name is a live stream's.
  const bool whole = object.body()->complete() && !has_no_content(object.status());
  if (!fresh || !whole || object.status() >= 400) return std::nullopt;
  auto reader = object.body()->read(0);
  if (!reader) return std::nullopt;

  context_.tallies.hits.add();
  const bool keep = http::keeps_alive(request);
  http::CacheStatus status;
  status.ttl = std::chrono::floor<std::chrono::seconds>(freshness.lifetime - age);
  head_.clear();
  append_content_length(object.body()->size(), head_);
  append_own_fields({.object = object,
                     .age = age,
                     .status = status,
                     .cache_name = context_.options.node_id,
                     .cors = context_.options.cors,
                     .keep = keep,
                     .client_version = request.minor_version},
                    head_);
  client.answered(object.status());
  HttpPortion portion{.before = {object.head(), head_}, .body = object.body()->size()};
  const auto all = portion.push(client.socket(), &*reader, context_.tallies.bytes);
  if (!all) return Answer{.keep = false, .rest = nullptr};
  if (*all) return Answer{.keep = keep, .rest = nullptr};
  std::string head(portion.before[0]);
  head += portion.before[1];
  return Answer{.keep = keep,
                .rest = std::unique_ptr<Rest>(new Rest{.object = std::move(found.object),
                                                       .reader = std::move(*reader),
                                                       .head = std::move(head),
                                                       .body = portion.body})};
}

Task<bool> HttpHit::send(http::ServerConnection& client, std::unique_ptr<Rest> rest) {
  const HttpPortion portion{.before = {rest->head}, .body = rest->body};
  auto sent = co_await weir::send(client.socket(), portion, &rest->reader, context_.tallies.bytes,
                                  context_.options.stall);
  if (!sent) client.failed(sent.error().code);
  co_return sent.has_value();
}

}  // namespace weir
