// proxy/stream_metrics.h
// What a scrape shows of single streams, and the ten metrics of SRS's exporter beside our own, so that
// dashboards made for SRS go on working.
//
//     scrape ──asks──► every loop (what clients moved; the edge's streams) ──► StreamTotals ──► families
//
// Series of streams are those of the `top` busiest; who falls out has none any more. SRS's byte counts
// are sums of ours: whatever goes to clients is sent, whatever comes from clients and sources received.
//
// Threading: main's thread makes and ends it, a scrape calls it. Bounds: five series for each of `top`
// streams; a scrape waits for a loop no longer than the SessionDirectory does, and goes without.
#pragma once

#include "common/stream_totals.h"
#include "proxy/control_view.h"
#include "proxy/system_answer.h"

namespace weir {

class StreamMetrics {
 public:
  struct Options {
    std::size_t top = 20;
    NodeIdentity identity;
    std::string role;
    std::string zone;
  };

  // `streams`: what this node holds itself; may be null. REQUIRES: all outlive this.
  StreamMetrics(Metrics& metrics, SessionDirectory& sessions, ControlView::Streams streams,
                Options options);

 private:
  void look();
  void add_streams(Metrics::Families& out) const;
  void add_srs(Metrics::Families& out);

  SessionDirectory& sessions_;
  const ControlView::Streams streams_;
  const Options options_;
  Machine machine_;
  StreamTotals totals_;
  std::map<std::string, StreamReport> held_;
  Metrics::Sample collected_;  // the last: it runs while the rest is there
};

}  // namespace weir
