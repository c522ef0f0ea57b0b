// proxy/cluster_client.h
// Asks the HTTP APIs of several upstreams the same question, all at once, for threads that are no
// loops.
//
// The requests run on a loop, over its sockets: an upstream that hangs costs the asking thread
// `patience` and nobody else anything.
//
// Threading: constructor and destructor by main's thread while the loops run; get() by any thread
// that is no loop's.
// Bounds: kMaxPeers upstreams a question, the rest are told so; answers of kMaxBody bytes; `patience`
// for the whole exchange with each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/io/resolver.h"
#include "proxy/upstream.h"

namespace weir {

// What one upstream's API answered.
struct ClusterAnswer {
  std::string id;
  Result<std::string> body;
};

class ClusterClient {
 public:
  static constexpr std::size_t kMaxPeers = 64;
  static constexpr std::size_t kMaxBody = 4 * 1024 * 1024;

  explicit ClusterClient(Loop& loop, milliseconds patience = milliseconds{1000});
  ~ClusterClient();

  // `target` of each that has an API; in their order.
  std::vector<ClusterAnswer> get(const std::vector<UpstreamState>& upstreams,
                                 const std::string& target);

 private:
  struct Round;
  static Task<void> ask(std::shared_ptr<Round> round, std::size_t index, Resolver& resolver,
                        milliseconds patience);

  Loop& loop_;
  const milliseconds patience_;
  std::unique_ptr<Resolver> resolver_;  // the loop's
};

}  // namespace weir
