// proxy/router_state.h
// Between a Router and what outlives it: restores a SavedState, and then says what has changed.
//
// An origin counts as heard when it was last heard, so one that died meanwhile is forgotten in time.
// A route comes back only to an upstream that is known again in the same life, and only while it
// could still be remembered; routes were in use, as far as anybody knows, when the last transaction
// was written.
//
// Threading: the Router's. Time is what the caller says. Bounds: an entry for each registered origin.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxy/router.h"
#include "proxy/state_file.h"

namespace weir {

class RouterState {
 public:
  // Begins to watch. REQUIRES: `router` has been configured, and lives as long as this is used.
  // `lifetime` is an unused route's.
  RouterState(Router& router, Duration lifetime) : router_(router), lifetime_(lifetime) {}

  // Before anything else happens to the Router.
  void restore(const SavedState& state, TimePoint now, WallTime wall);

  // What is to be written to bring the file up to date since the last call.
  std::vector<SavedChange> changes(TimePoint now, WallTime wall);

 private:
  void changed_origins(std::vector<SavedChange>& changes, TimePoint now, WallTime wall);
  void changed_routes(std::vector<SavedChange>& changes, TimePoint now, WallTime wall);
  void changed_marks(std::vector<SavedChange>& changes, WallTime wall);

  Router& router_;
  const Duration lifetime_;
  std::map<std::string, TimePoint> origins_;  // as saved last, with when they had been heard
  std::set<std::string> drained_;
};

}  // namespace weir
