// proxy/control_listing.h
// A list of the control API: our own items, and where the whole cluster was asked, those of others.
//
// Threading: values. Bounds: answers of others may be nested kMaxDepth deep.
#pragma once

#include <Poco/JSON/Object.h>

#include <optional>
#include <string>
#include <vector>

#include "proxy/cluster_client.h"

namespace weir {

struct ControlListing {
  static constexpr int kMaxDepth = 32;

  std::string name{};  // the field that holds them, here and in the answers of others
  std::vector<Poco::JSON::Object::Ptr> items{};
  std::optional<std::size_t> total{};  // of ours; none: it is not paged

  void into(Poco::JSON::Object& object) const;
  // Each item tells its `node`; `nodes` tells who answered and why others did not. We are `self`.
  void into(Poco::JSON::Object& object, const std::string& self,
            const std::vector<ClusterAnswer>& answers) const;
};

}  // namespace weir
