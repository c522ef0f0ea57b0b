// proxy/live_picture.h
// What the console shows, as one line of JSON in the shapes of the control API:
//
//     {"server", "summary": data of /summaries, "listen": {"http": "8080", ...},
//      "upstreams": [...], "streams": [...], "streams_total": 1234}
//
// Threading: a pure function. Bounds: kMaxStreams streams, those with most viewers; every upstream.
#pragma once

#include <map>
#include <string>

#include "proxy/control_view.h"
#include "proxy/system_answer.h"

namespace weir {

struct LivePicture {
  static constexpr std::size_t kMaxStreams = 500;

  NodeIdentity identity;
  // The listeners that are on, as the configuration has them: "http" -> "127.0.0.1:8080".
  std::map<std::string, std::string> listen;

  std::string text(NodePicture picture) const;
};

}  // namespace weir
