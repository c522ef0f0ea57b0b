// proxy/console.h
// The web console as a whole: its files, the picture it shows live, and the last hour.
//
// History is kept, and events are given, whether there are files or not: other programs read them too.
//
// Threading: made and ended by main's thread, before ControlView's parts go. Bounds: those of its
// members.
#pragma once

#include <optional>

#include "proxy/console_files.h"
#include "proxy/live_events.h"
#include "proxy/live_picture.h"
#include "proxy/node_history.h"
#include "proxy/system_pages.h"

namespace weir {

class Config;

class Console {
 public:
  // Throws ConfigError: console.path. REQUIRES: `view` outlives it.
  Console(const Config& config, const NodeIdentity& identity, ControlView& view);

  // Adds what it answers to a listener's handlers.
  void join(SystemPages::Handlers& handlers);
  LiveEvents& events() { return events_; }

 private:
  std::optional<ConsoleFiles> files_;
  const LivePicture picture_;
  NodeHistory history_;
  LiveEvents events_;
};

}  // namespace weir
