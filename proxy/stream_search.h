// proxy/stream_search.h
// Where is a stream that nobody here knows a route for? Origins with an API of SRS's shape are asked
// what they have.
//
//   find(key) ─► a round is younger than `fresh`? ─► its answer
//                     │ no
//                     ▼
//                one round: GET /api/v1/streams/ at all of them at once ─► all who wait look again
//
// Only for streams that are new here: it is a publisher at an origin of its own choice, or a route
// that was lost, that makes it worth while. However many ask, and for whatever streams, each API is
// asked once in `fresh`; what a round has not found does not exist for that long.
//
// Threading: one loop, the Registry's. Bounds: kMaxAsked APIs, kMaxSrsStreams streams of each, one
// round at a time, `patience` for it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/child.h"
#include "common/io/gate.h"
#include "common/io/resolver.h"
#include "proxy/registry.h"

namespace weir {

class StreamSearch {
 public:
  static constexpr std::size_t kMaxAsked = 64;
  struct Options {
    milliseconds patience{500};
    milliseconds fresh{1000};
  };

  StreamSearch(Loop& loop, const Registry& registry, Options options)
      : loop_(loop), registry_(registry), options_(options), round_ended_(loop) {}
  StreamSearch(Loop& loop, const Registry& registry) : StreamSearch(loop, registry, Options{}) {}

  // Whether there is anybody to ask.
  bool possible() const;

  // The upstream at which it is published; the first by id when several say so.
  Task<std::optional<std::string>> find(std::string key);

 private:
  std::vector<UpstreamPtr> to_ask() const;
  Task<void> run_round();
  Task<void> ask(Resolver& resolver, UpstreamPtr upstream, Deadline deadline);

  Loop& loop_;
  const Registry& registry_;
  const Options options_;
  std::unordered_map<std::string, std::string> homes_;  // stream key ─► upstream id
  std::optional<TimePoint> asked_;                      // when the last round began
  bool round_under_way_ = false;
  Gate round_ended_;
};

}  // namespace weir
