// proxy/upgrade.h
// SIGUSR2: another process takes this one's place, and this one drains.
//
//     begin ─► the new one starts, with our sockets ─► ready ─► it is the service, and keeps the state
//                   │                                             │
//                   └─ fails: nothing has changed                 └─► wait() ends: we drain
//
// Streams stay where they are: the new process is told all routes and origins when it starts, and as
// long as sessions of this one go on, where they are.
//
// Threading: main's thread. Bounds: one at a time.
#pragma once

#include <string>
#include <vector>

#include "common/departure.h"
#include "common/successor.h"
#include "common/systemd.h"
#include "proxy/routing.h"

namespace weir {

class Upgrade {
 public:
  // Metrics: weir_upgrade_failures_total.
  Upgrade(std::vector<std::string> arguments, Departure& departure, Systemd& systemd,
          Routing& routing, Metrics& metrics);

  bool under_way() const { return successor_.under_way(); }
  // Does not wait. What comes of it is logged.
  void begin(Successor::Offer offer, milliseconds patience);

 private:
  void became(const Result<int>& pid);
  void failed(const Error& why);

  Departure& departure_;
  Systemd& systemd_;
  Routing& routing_;
  prometheus::Counter& failures_;
  Successor successor_;
};

}  // namespace weir
