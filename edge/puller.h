// edge/puller.h
// Fetches one stream from upstream into its Stream, for as long as it is wanted.
//
//     choose upstream ─► connect ─► play / GET ─► packets ... ─► broken, silent, refused ─► next upstream, after
//                                                                                            a jittered pause
//
// An upstream that answers but has no media is left for the next one, without harm to its standing;
// one that does not answer is reported and ejected. Viewers notice nothing but the gap.
//
// Threading: the stream's home loop. Bounds: one connection; a deadline on everything; pauses
// between retry_min and retry_max.
#pragma once

#include <optional>

#include "edge/edge_metrics.h"
#include "edge/edge_options.h"
#include "edge/stream.h"
#include "edge/stream_request.h"

namespace weir {

class Puller {
 public:
  struct Context {
    Stream& stream;
    const EdgeOptions& options;
    EdgeMetrics& metrics;
    Routing& routing;
    Resolver& resolver;
  };

  Puller(Context context, StreamRequest request);

  // Ends after stop(), and when every upstream has said that there is no such stream before any
  // media came. The error says why the last attempt ended.
  Task<Error> run();
  void stop();

  // The one that is asked or gives; empty between two.
  const std::string& upstream() const { return upstream_; }
  // Upstream has said that it will not give the stream, and nothing of it had come before.
  bool refused() const { return refused_; }

 private:
  // How far one attempt has come.
  enum class Progress { Nothing, Headers, Media };

  // One round over the upstreams; ends with the first that had media, when that ends.
  Task<Error> round();
  Task<Error> pull(Dialed dialed, Protocol protocol);
  Task<Error> pull_rtmp(Dialed dialed);
  Task<Error> pull_flv(Dialed dialed);
  void take(const flv::Tag& tag);
  Deadline media_deadline() const;
  Error judge(const Error& error) const;
  Error refusal(Errc reason, std::string text);
  Protocol protocol() const;

  Context context_;
  StreamRequest request_;
  Loop& loop_;
  Socket* socket_ = nullptr;  // of the attempt under way
  Progress progress_ = Progress::Nothing;
  bool stopped_ = false;
  bool refused_ = false;
  bool try_flv_ = false;  // Pull::Auto: RTMP is not spoken there
  std::string upstream_;  // of the attempt under way
  std::string avoid_;     // the upstream that fell silent last
  Gate stop_;
  std::optional<Error> last_error_;
};

}  // namespace weir
