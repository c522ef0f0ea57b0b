// edge/edge_node.h
// The edge role, put together: on every loop a hub for streams and listeners for clients.
//
// Threading: made and let go by main's thread, which runs each part on its loop. Bounds: its
// parts'.
#pragma once

#include <memory>
#include <vector>

#include "common/io/admission.h"
#include "common/io/loop_group.h"
#include "common/tls_door.h"
#include "edge/stream_hub.h"

namespace weir {

class EdgeNode {
 public:
  struct Ports {
    std::vector<int> rtmp;  // a descriptor for each loop; empty: off
    std::vector<int> http;
    std::vector<int> rtmps;
    std::vector<int> https;
  };

  // REQUIRES: the loops run, and outlive this.
  EdgeNode(LoopGroup& loops, EdgeOptions options, Routing& routing, Admission& admission,
           TlsDoor& tls, Metrics& metrics, const Ports& ports);
  // Other options and ports: sessions that are here go on, with what they are told by the options of
  // now. An edge that serves what is published to it may get upstreams, and the other way round: for
  // streams and connections that come later.
  void apply(const EdgeOptions& options, const Ports& ports);
  // What it holds, asked from a thread that is no loop's. Errors: Timeout.
  Result<std::vector<StreamReport>> streams(milliseconds patience);
  // Takes no more clients. Those who are here go on.
  void stop_accepting();
  // REQUIRES: the loops have been shut down or are idle.
  ~EdgeNode();

 private:
  struct PerLoop;

  LoopGroup& loops_;
  Admission& admission_;
  HttpStore store_;
  std::unique_ptr<SegmentStore> disk_;  // null: memory only
  std::vector<Metrics::Sample> samples_;
  std::vector<std::unique_ptr<PerLoop>> per_loop_;
};

}  // namespace weir
