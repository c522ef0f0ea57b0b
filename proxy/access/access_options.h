// proxy/access/access_options.h
// What the operator set about who may do what.
//
// Threading: immutable once loops have it.
#pragma once

#include "common/access/access_rules.h"
#include "proxy/access/hook.h"

namespace weir {

struct AccessOptions {
  AccessRules rules{};
  HookOptions hooks{};
  bool traverse = false;  // an edge asks upstream about each viewer
  milliseconds traverse_ttl{30'000};
  bool traverse_allow_when_down = false;
  // How long a client that was let at a playlist needs to show nothing for the files beside it.
  milliseconds remember{30'000};
  bool end_at_expiry = false;          // sessions end with what their client has shown
  std::size_t viewers_per_stream = 0;  // 0: no limit
  std::uint64_t publish_kbps = 0;      // 0: no limit
  milliseconds publish_patience{10'000};

  // Whether anybody could be refused anything.
  bool any() const {
    return rules.play.restricts() || rules.publish.restricts() || hooks.any() || traverse ||
           viewers_per_stream > 0 || publish_kbps > 0;
  }
};

}  // namespace weir
