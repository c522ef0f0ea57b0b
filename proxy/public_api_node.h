// proxy/public_api_node.h
// listen.api and listen.api_https, put together: two listeners and a PublicApi on every loop.
//
// It has an admission of its own, so that a node which takes no more clients can still be asked why,
// and who asks all day takes no client's place.
//
// Threading: made and let go by main's thread, which runs each part on its loop. Bounds:
// kMaxConnections, and as many of one address as `per_address`.
#pragma once

#include <memory>
#include <vector>

#include "common/io/loop_group.h"
#include "common/tls_door.h"
#include "proxy/public_api.h"

namespace weir {

class PublicApiNode {
 public:
  static constexpr std::size_t kMaxConnections = 2048;

  // REQUIRES: the loops run, and all outlive this.
  PublicApiNode(LoopGroup& loops, SystemDesk& desk, TlsDoor& tls, PublicApi::Options options,
                std::size_t per_address, const PublicApi::Signalling& signalling);
  // Takes over the descriptors, one for each loop, in place of those that it has; none: nobody can
  // connect. Connections go on.
  void listen(const std::vector<int>& plain, const std::vector<int>& encrypted);
  // From here on; see http::ServerConnection.
  void trust(const TrustedHops& hops) { admission_.trust(hops); }
  // The node goes away: see PublicApi::stop_signalling.
  void stop_signalling();
  // REQUIRES: the loops have been shut down or are idle.
  ~PublicApiNode();

 private:
  struct PerLoop;

  LoopGroup& loops_;
  TlsDoor& tls_;
  Admission admission_;
  std::vector<std::unique_ptr<PerLoop>> per_loop_;
};

}  // namespace weir
