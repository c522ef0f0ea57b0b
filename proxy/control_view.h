// proxy/control_view.h
// What the control API sees and does: sessions, streams, routes and upstreams of this process, put
// together for threads that are no loops.
//
//     API's thread ──ask──► every loop (sessions, the edge's streams) ─┐
//                  ──ask──► the router (routes, upstreams)            ─┴─► StreamView, RouteView, NodeView
//
// Threading: attach() and the constructor by main's thread, everything else by any thread that is no
// loop's; the loops are only ever asked by messages, and one that does not answer in time is
// Errc::Timeout.
// Bounds: one question waits for `patience` at each of its steps.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "common/session_directory.h"
#include "proxy/cluster_client.h"
#include "proxy/machine.h"
#include "proxy/routing.h"
#include "proxy/stream_report.h"

namespace weir {

struct StreamView {
  std::string key{};
  std::optional<StreamReport> report{};  // the edge's; a proxy does not look into streams
  StreamSessions sessions{};
  std::string upstream{};  // its route's; empty: none is known

  std::size_t viewers() const;
  // What the stream itself takes, as far as it can be seen from here.
  double kbps() const;
};

struct RouteView {
  std::string key;
  UpstreamState upstream;     // who has it
  Router::Sessions sessions;  // streams' sessions of this node by upstream
};

struct NodeView {
  std::string role{};
  std::string state{};          // "ready", "draining", ...
  std::vector<double> loops{};  // the share of its time that each works
  std::size_t sessions = 0;
  std::size_t publishers = 0;
  std::size_t viewers = 0;
  std::size_t streams = 0;
  std::size_t upstreams = 0;  // in use
  TrafficRate rate{};         // from and to clients
  MachineState machine{};
};

// All of it at one time.
struct NodePicture {
  NodeView node{};
  std::vector<StreamView> streams{};
  std::vector<UpstreamState> upstreams{};
};

class ControlView {
 public:
  // The streams that this node holds itself.
  using Streams = std::function<Result<std::vector<StreamReport>>()>;

  struct Options {
    std::string role;
    std::function<std::string()> state = [] { return std::string("ready"); };
    milliseconds patience{1000};
  };

  // What begins after the API does.
  struct Parts {
    SessionDirectory* sessions = nullptr;
    ClusterClient* cluster = nullptr;
    Streams streams = nullptr;  // none: this node holds none itself
  };

  ControlView(LoopGroup& loops, Routing& routing, Options options)
      : loops_(loops), routing_(routing), options_(std::move(options)) {}

  // Until then there is nothing to be seen: Errc::Unavailable. REQUIRES: they outlive whoever asks.
  void attach(Parts parts);

  Result<SessionDirectory::Page> clients(std::size_t start, std::size_t count, std::string stream);
  Result<SessionState> client(const std::string& id);
  Result<void> kick(const std::string& id);
  // In the order of their keys.
  Result<std::vector<StreamView>> streams();
  // NotFound.
  Result<RouteView> route(const std::string& key);
  Result<NodeView> node();
  Result<NodePicture> picture();
  Result<std::vector<UpstreamState>> upstreams();
  // What the upstreams' own APIs answer to `target`.
  Result<std::vector<ClusterAnswer>> cluster(const std::string& target);
  // Errors: Router's.
  Result<void> drain_upstream(const std::string& id, bool drained);
  Result<void> remove_upstream(const std::string& id);

 private:
  Result<Parts> parts();

  LoopGroup& loops_;
  Routing& routing_;
  const Options options_;
  Machine machine_;
  std::mutex mutex_;
  Parts parts_;
};

}  // namespace weir
