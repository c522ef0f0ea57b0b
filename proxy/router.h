// proxy/router.h
// Where does this stream go? What every session of the proxy asks, and tells in return.
//
// The promise: while an origin is alive, every request for one stream reaches that same origin. So
// the first request for a stream makes a route, by the Balancer's choice, and all later ones
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
// Nodes that share a view (proxy/shared_state.h) agree on who was first: a route made here is only
// proposed, what the others have is adopted. While they cannot be asked, agree(true) makes all of
// them choose alike.
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
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/error.h"
#include "proxy/balancer.h"
#include "proxy/origin_token.h"
#include "proxy/registry.h"
#include "proxy/route_store.h"
#include "proxy/shared_codec.h"
#include "proxy/upstream.h"

namespace weir {

// How far a request had come when its upstream failed it. The further, the more of it was the
// client's own doing.
enum class Stage : std::uint8_t {
  Connect,  // nobody but the upstream, or the way there, can be at fault
  Setup,    // RTMP up to createStream: a hang-up may be the answer to what the client sent, silence
            // may not
  Request,  // any client can ask for what makes an upstream slow or hang up
  Media,    // WebRTC's checks are not answered; a client that came too late sees that, too
};

// What a session does with its stream.
enum class Purpose : std::uint8_t { Play, Publish };

struct Route {
  UpstreamPtr upstream;
  Protocol protocol = Protocol::Rtmp;
  bool remembered = true;  // false: only tried, the stream's route leads elsewhere
  bool named = false;      // the request named it: the stream's route was not asked
  bool made = false;       // by this request: the stream had none that led anywhere
  bool held = false;       // sessions of the stream run there

  // In the order to try them; never empty.
  const std::vector<Endpoint>& endpoints() const { return upstream->at(protocol); }
};

class Router {
 public:
  explicit Router(RegistryOptions registry = {}, Balancer balancer = Balancer{},
                  RouteStoreOptions routes = {});

  // Adds an upstream of the configuration. Errors: Registry::configure.
  Result<void> configure(Upstream upstream);

  // What the configuration says of a Router.
  struct Setup {
    RegistryOptions registry{};
    Balancer balancer{};
    RouteStoreOptions routes{};
    std::vector<Upstream> upstreams{};
  };
  // Takes another configuration up. Streams stay where they are, unless their upstream is gone or
  // elsewhere; sessions go on in any case.
  void reconfigure(Setup setup, TimePoint now);

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
  // Limit, Loop, Cancelled, and System, which is our own kernel, never do). What any client can
  // cause ejects when it comes again and again, and then the streams it has stay.
  enum class Effect : std::uint8_t {
    None,
    Ejected,  // just now, but its streams stay, or there is no other to go to
    Moved,    // ejected just now, and its streams move
  };
  Effect failed(const std::string& key, const std::string& id, Errc reason, TimePoint now,
                Stage stage = Stage::Connect);

  // What an active probe found, and its words.
  Effect probed(const std::string& id, Probed result, std::string_view why, TimePoint now);

  // A connect to `id` worked; it served a session.
  void succeeded(const std::string& id, TimePoint now);
  void served(const std::string& id);

  // A session of the stream runs through `id`, and ends. REQUIRES: each closed() belongs to one
  // opened().
  void opened(const std::string& key, const std::string& id, TimePoint now = {},
              Purpose purpose = Purpose::Play);
  void closed(const std::string& key, const std::string& id, TimePoint now,
              Purpose purpose = Purpose::Play);

  // `heard` may lie in the past: a heartbeat that another node heard. Errors: Registry::heartbeat.
  Result<void> heartbeat(const Registration& registration, TimePoint heard);

  // From here on a new stream goes where every node that knows the same upstreams sends it, and no
  // longer by the Balancer's own choice.
  void agree(bool on) { agree_ = on; }
  // Another node's route: followed from now on. False, and nothing happens, when it leads to an
  // upstream that is not known, out of use, or in another life.
  bool adopt(const SharedRoute& route, TimePoint now);
  // Its route is gone everywhere. It stays while a session of ours holds it.
  void drop(const std::string& key);
  // The route of `key`, wherever it leads.
  std::optional<SharedRoute> remembered(const std::string& key, TimePoint now) const;
  // Those that sessions of ours hold.
  std::vector<SharedRoute> held() const;
  // The route to where a session of ours publishes the stream, if it does. One that began before
  // `since` gives way to what others say: whoever publishes last is right.
  std::optional<SharedRoute> published(const std::string& key, TimePoint since) const;

  // Called when confirmed() or adopt() lead a stream to `id` while sessions of ours run elsewhere.
  using OnMoved = std::function<void(const std::string& key, const std::string& id)>;
  void on_moved(OnMoved tell) { on_moved_ = std::move(tell); }

  // The operator's word. A drained upstream keeps the streams it has; one that is removed loses
  // its routes, its sessions go on. Errors: those of Registry.
  Result<void> drain(const std::string& id, bool drained);
  Result<void> remove(const std::string& id);

  // What the last run remembered. An origin that is too old is not taken. Errors: of heartbeat().
  Result<void> restore_origin(const Registration& registration, TimePoint heard, TimePoint now);
  void restore_drained(const std::string& id) { registry_.restore_drained(id); }
  // While it is on the streams whose route has changed are known: those since the last time.
  void watch_routes(bool on) { routes_.watch(on); }
  void route_changed(const std::string& key) { routes_.changed(key); }
  std::vector<std::string> take_changed_routes() { return routes_.take_changed(); }

  // Forgets silent upstreams and unused routes. Call it about once a second.
  void tick(TimePoint now);

  std::vector<UpstreamState> snapshot(TimePoint now) const;
  struct Presence {
    std::size_t sessions = 0;
    std::size_t publishers = 0;
    TimePoint published{};  // when the last of them began
  };
  // Live sessions of one stream by upstream: nearly always one element.
  using Sessions = std::map<std::string, Presence>;
  // Where a stream goes as of now, without going there. Nothing: it has no route.
  struct Known {
    std::string upstream;
    Sessions sessions;
  };
  std::optional<Known> known(const std::string& key, TimePoint now) const;
  const Registry& registry() const { return registry_; }
  std::vector<std::string> route_keys() const { return routes_.keys(); }
  std::size_t route_count() const { return routes_.size(); }

 private:
  UpstreamPtr find_named(const NamedOrigin& named, Protocol protocol, TimePoint now) const;
  bool in_session(const std::string& key, const std::string& id) const;
  bool follows(const std::string& key, const StoredRoute& stored, Protocol protocol,
               TimePoint now) const;
  UpstreamPtr drained_home(const std::string& key, Protocol protocol, TimePoint now) const;
  UpstreamPtr choose(const std::string& key, const std::vector<UpstreamPtr>& pool, TimePoint now);
  bool others_than(const std::string& id, TimePoint now) const;
  static void tell_ejected(const std::string& id, const UpstreamHealth& health,
                           std::string_view reason, const std::string& key, std::size_t dropped);
  Result<void> lead(const std::string& key, const Upstream& upstream, TimePoint now);
  Result<void> move(const std::string& key, const Upstream& upstream, TimePoint now);

  Registry registry_;
  Balancer balancer_;
  Balancer agreed_{Balance::Rendezvous};
  bool agree_ = false;
  RouteStore routes_;
  OnMoved on_moved_;
  std::unordered_map<std::string, Sessions> sessions_;
  std::map<std::string, std::size_t> streams_;  // of each upstream: keys with a live session
};

}  // namespace weir
