// edge/node.h
// The node of this process, whichever role it has, behind one face: made from the configuration, and
// from it again whenever that is reloaded.
//
// Threading: main's thread. Bounds: its parts'.
#pragma once

#include <memory>
#include <string>

#include "common/reload.h"
#include "common/successor.h"
#include "edge/edge_node.h"
#include "proxy/control_view.h"
#include "proxy/proxy_setup.h"
#include "proxy/public_api_node.h"

namespace weir {

class Node {
 public:
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  struct Context {
    std::string id;
    LoopGroup& loops;
    Routing& routing;
    Admission& admission;
    TlsDoor& tls;
    Metrics& metrics;
    SystemDesk& desk;
    const http::StaticFiles* files = nullptr;
    WebrtcStore* webrtc_store = nullptr;
    ProxyNode::Sharing older{};  // the process whose place this one takes
  };

  // `open` has the ports, and all of them are the node's.
  Node(Context context, const Config& config, ProxyNode::Ports ports, OpenPorts open);

  // Options, upstreams, limits and ports.
  Reload::Part part();
  const OpenPorts& ports() const { return open_; }
  // What an edge holds; null for a proxy, which does not look into streams.
  ControlView::Streams streams();
  // What the process that takes this one's place needs to share its UDP ports; nothing for an edge.
  // And what it makes of it.
  Result<Successor::Offer> offer();
  static ProxyNode::Sharing sharing(std::vector<int> passes, const std::string& secret);
  // It is ready.
  void hand_over();
  // Takes no more clients. Those who are here go on, and listen.api tells why.
  void stop_accepting();
  // Another process answers at listen.api from here on.
  void stop_answering();

 private:
  void open_api(const Config& config, const ProxyNode::Ports& ports);
  Reload::Commit prepare(const Config& after);
  void drop_offer();

  const Context context_;
  OpenPorts open_;
  std::vector<int> passes_;  // our ends of an offer, until it is taken
  std::unique_ptr<EdgeNode> edge_;
  std::unique_ptr<ProxyNode> proxy_;
  std::unique_ptr<PublicApiNode> api_;
};

// Connections in all and of one address, as limits.* say; and the log's level.
Reload::Part limits_part(Admission& admission);

}  // namespace weir
