// edge/http_visit.h
// One request of a client, as the cache answers it: look, and if need be wait for a fetch or begin
// one.
//
//     look ─► fresh ─────────────────────────────────────────► reply
//       │ not
//       ├─► shared: join the fill or begin it ─► answered ───► reply
//       │                                     ├─► failed ────► error
//       │                                     └─► private ─┐
//       └─► alone ◄────────────────────────────────────────┘
//             └─► the origin is asked as the client asks ────► relayed to it, stored if it may be
//
// Threading: the client's loop. Bounds: kMaxLooks; every wait has a deadline.
#pragma once

#include "edge/http_fetch.h"
#include "edge/http_reply.h"
#include "proxy/http_exchange.h"
#include "proxy/http_forwarding.h"

namespace weir {

class HttpVisit {
 public:
  enum class Wants : std::uint8_t { Anything, Object };  // see HttpCache::serve_object()

  HttpVisit(const HttpCache::Context& context, http::ServerConnection& client,
            http::Request request, Wants wants);

  // Whether the client's connection may carry another request; nothing when this is not answered.
  Task<std::optional<bool>> run();

 private:
  using Forwarded = http::CacheStatus::Forwarded;
  using Handover = std::shared_ptr<HttpHandover>;
  enum class Next : std::uint8_t { Keep, Close, LookAgain, NoObject };
  static constexpr int kMaxLooks = 4;

  static Next next(bool keep) { return keep ? Next::Keep : Next::Close; }

  Task<Next> relay();
  Task<Next> purge();
  Task<Next> look();
  Task<Next> look_once();
  Task<Next> ask_shared();
  Task<Next> ask_alone();
  Task<Next> after(HttpAsker asker, Handover handover);
  Task<Next> take_over(HttpAnswer response);
  Task<Next> reply(HttpObjectRef object, http::CacheStatus status,
                   std::optional<HttpAsker> asker = std::nullopt);
  Task<Next> answer(int status, std::string text);
  Task<Result<void>> wait_for(HttpFill& fill);

  std::optional<HttpReuse> use_of(const HttpObject& object) const;
  bool wants_origin_itself() const;
  bool is_held_back() const;
  http::Parsed<void> begin(HttpFillRef fill, bool shared, Handover handover);
  void refresh_behind_the_scenes();
  http::CacheStatus status_after(const HttpFill& fill, bool mine);
  void forget(const http::Response& response);
  bool forget(const std::string& key);
  std::size_t forget_all(const std::string& prefix);

  const HttpCache::Context& context_;
  http::ServerConnection& client_;
  http::Request request_;
  const Wants wants_;
  http::CacheControl control_;
  std::string key_;
  HttpObjectRef stale_;  // selected, but not to be used as it is
  Forwarded why_ = Forwarded::UriMiss;
};

}  // namespace weir
