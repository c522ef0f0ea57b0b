// edge/home_stream.h
// A Stream together with the decision where its packets come from, from its birth to its end:
//
//     watched, nobody publishes here  ─► Puller          published here, upstreams exist ─► Forwarder
//     nobody watches for `linger`     ─► end             no media when it should         ─► end, with a reason
//
// Looked after a few times a second rather than at each event: every rule is then one line of
// review(), and none can be missed because two things happened at once.
//
// Threading: the home loop. Bounds: one puller or one forwarder.
#pragma once

#include <functional>

#include "common/io/child.h"
#include "edge/forwarder.h"
#include "edge/puller.h"
#include "proxy/stream_report.h"

namespace weir {

class HomeStream final : private Timer {
 public:
  struct Context {
    Loop& loop;
    const EdgeOptions& options;
    EdgeMetrics& metrics;
    Routing& routing;
    Resolver& resolver;
  };
  // Ends the publisher with that id, wherever its loop is.
  using Evict = std::function<void(std::uint64_t publisher, Error why)>;

  HomeStream(Context context, std::string key, StreamRequest request, Stream::Deliver deliver,
             Evict evict, std::function<void()> on_gone);
  ~HomeStream();

  Stream& stream() { return stream_; }
  StreamReport report() const;

  // Takes the stream for a publisher, and waits for the upstream's verdict where there is one.
  // Errors: Busy while another one is sending, and the upstream's.
  Task<Result<void>> publish(std::uint64_t publisher, StreamRequest request);
  void ingest(std::uint64_t publisher, const flv::Tag& tag);
  void unpublish(std::uint64_t publisher);

  // Ends it: viewers are told why, then on_gone is called once nothing of it runs any more.
  void finish(const Error& why);
  bool finished() const { return stream_.finished(); }

 private:
  Task<Result<void>> accept_publisher(std::uint64_t publisher, StreamRequest request);
  void leave();
  void expired() override;
  void cancelled() override;
  void review();
  std::optional<Error> verdict() const;
  void start_puller();
  Task<void> run_puller();
  Task<void> run_forwarder();
  Task<void> wind_up();
  bool stale() const;

  Context context_;
  StreamRequest request_;  // of whoever came first
  Evict evict_;
  std::function<void()> on_gone_;
  Stream stream_;
  std::uint64_t publisher_ = 0;  // 0: nobody publishes here
  Clock::time_point accepted_at_;
  std::unique_ptr<Puller> puller_;
  std::unique_ptr<Forwarder> forwarder_;
  int publishing_ = 0;  // publish() calls under way
  Child pulling_;
  Child forwarding_;
  std::optional<Error> last_error_;
  Clock::time_point born_;
};

}  // namespace weir
