// proxy/router.h
// Where does this stream go? What every session of the proxy asks, and tells in return.
//
// The promise: while an origin is alive, every request for one stream reaches that same origin. So
// the first request for a stream claims a route, by the Balancer's choice, and all later ones
// follow it.
//
//   route(key) ─► connect ──fails──► failed(id) ─► route(key, exclude id) ─► ...   the stream has moved
//                    │ succeeded(id)
//                    ▼
//                 verdict ─"not found"─► route(key, exclude id) ─► ...             the stream stays where it was,
//                    │                                                             until confirmed(key, who had it)
//                    ▼
//                 opened(key, id) ... closed(key, id)
//
// A route ends when its upstream fails, restarts (same server id, new service id), goes silent, or
// when nobody used the stream for the store's lifetime. While sessions are open it is held. When a
// stream's route was lost but sessions still run at an upstream that may be asked, the stream goes
// back there.
//
// An upstream that does not speak the protocol asked for is never given. If it is the one that
// serves the stream right now, the request is refused: elsewhere the stream cannot be.
//
// Threading: one loop owns it, others post to that loop. Time is what the caller says; it may not
// run back.
// Bounds: those of Registry and RouteStore, and one small entry for each live (stream, upstream)
// pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/error.h"
#include "proxy/balancer.h"
#include "proxy/origin_token.h"
#include "proxy/registry.h"
#include "proxy/route_store.h"
#include "proxy/upstream.h"

namespace weir {

// How far a request had come when its upstream failed it. The further, the more of it was the
// client's own doing.
enum class Stage : std::uint8_t {
  Connect,  // nobody but the upstream, or the way there, can be at fault
  Setup,    // RTMP up to createStream: a hang-up may be the answer to what the client sent, silence
            // may not
  Request,  // any client can ask for what makes an upstream slow or hang up
};

struct Route {
  UpstreamPtr upstream;
  Protocol protocol = Protocol::Rtmp;
  bool remembered = true;  // false: only tried, the stream's route leads elsewhere
  bool named = false;      // the request named it: the stream's route was not asked
  bool held = false;       // sessions of the stream run there

  // In the order to try them; never empty.
  const std::vector<Endpoint>& endpoints() const { return upstream->at(protocol); }
};

class Router {
 public:
  explicit Router(RegistryOptions registry = {}, Balancer balancer = Balancer{},
                  std::unique_ptr<RouteStore> routes = std::make_unique<MemoryRouteStore>());

  // Adds an upstream of the configuration. Errors: Registry::configure.
  Result<void> configure(Upstream upstream);

  // `exclude` names the upstreams that this request tried already. Errc::Unavailable when nobody is
  // left. `named`, if given, is asked first: a preferred one while it is in use; one that binds in
  // any case, and when it is gone or excluded nobody is, which is Errc::NotFound. What a request
  // names leaves no trace in the stream's route, for any client can write a token.
  Result<Route> route(const std::string& key, Protocol protocol, TimePoint now,
                      std::span<const std::string> exclude = {},
                      const std::optional<NamedOrigin>& named = std::nullopt);

  // `id` really has the stream: its route leads there from now on. Errc::NotFound when `id` is
  // gone.
  Result<void> confirmed(const std::string& key, const std::string& id, TimePoint now);

  // Something went wrong between us and `id` before its verdict. Ejects it and drops all its
  // routes, unless `reason` says nothing about its health at that stage (NotFound, Busy, Denied,
  // Limit, Loop, Cancelled, and System, which is our own kernel, never do); those are only counted.
  enum class Effect : std::uint8_t {
    None,
    Ejected,  // just now, but there is no other to go to
    Moved,    // ejected just now, and its streams move
  };
  Effect failed(const std::string& key, const std::string& id, Errc reason, TimePoint now,
                Stage stage = Stage::Connect);

  // A connect to `id` worked.
  void succeeded(const std::string& id, TimePoint now);

  // A session of the stream runs through `id`, and ends. REQUIRES: each closed() belongs to one
  // opened().
  void opened(const std::string& key, const std::string& id);
  void closed(const std::string& key, const std::string& id, TimePoint now);

  // Errors: Registry::heartbeat.
  Result<void> heartbeat(const Registration& registration, TimePoint now);

  // Forgets silent upstreams and unused routes. Call it about once a second.
  void tick(TimePoint now);

  std::vector<UpstreamState> snapshot(TimePoint now) const;
  std::size_t route_count() const { return routes_->size(); }

 private:
  // Live sessions of one stream by upstream: nearly always one element.
  using Sessions = std::map<std::string, std::size_t>;

  UpstreamPtr find_named(const NamedOrigin& named, Protocol protocol, TimePoint now) const;
  bool in_session(const std::string& key, const std::string& id) const;
  bool follows(const std::string& key, const StoredRoute& stored, Protocol protocol,
               TimePoint now) const;
  UpstreamPtr choose(const std::string& key, const std::vector<UpstreamPtr>& pool);

  Registry registry_;
  Balancer balancer_;
  std::unique_ptr<RouteStore> routes_;
  std::unordered_map<std::string, Sessions> sessions_;
  std::map<std::string, std::size_t> streams_;  // of each upstream: keys with a live session
};

}  // namespace weir
