// edge/node.h
// The node of this process, whichever role it has, behind one face: made from the configuration, and
// from it again whenever that is reloaded.
//
// Threading: main's thread. Bounds: its parts'.
#pragma once

#include <memory>
#include <string>

#include "common/reload.h"
#include "edge/edge_node.h"
#include "proxy/control_view.h"
#include "proxy/proxy_setup.h"
#include "proxy/public_api_node.h"

namespace weir {

class Node {
 public:
  struct Context {
    std::string id;
    LoopGroup& loops;
    Routing& routing;
    Admission& admission;
    Metrics& metrics;
    SystemDesk& desk;
    const http::StaticFiles* files = nullptr;
    WebrtcStore* webrtc_store = nullptr;
  };

  // `open` has the ports, and all of them are the node's.
  Node(Context context, const Config& config, ProxyNode::Ports ports, OpenPorts open);

  // Options, upstreams, limits and ports.
  Reload::Part part();
  const OpenPorts& ports() const { return open_; }
  // What an edge holds; null for a proxy, which does not look into streams.
  ControlView::Streams streams();
  // Takes no more clients. Those who are here go on, and listen.api tells why.
  void stop_accepting();
  // Another process answers at listen.api from here on.
  void stop_answering();

 private:
  void open_api(const Config& config, const ProxyNode::Ports& ports);
  Reload::Commit prepare(const Config& after);

  const Context context_;
  OpenPorts open_;
  std::unique_ptr<EdgeNode> edge_;
  std::unique_ptr<ProxyNode> proxy_;
  std::unique_ptr<PublicApiNode> api_;
};

// Connections in all and of one address, as limits.* say; and the log's level.
Reload::Part limits_part(Admission& admission);

}  // namespace weir
