// edge/stream_hub.h
// Where viewers and publishers of one loop find their streams. There is a hub on
// every loop; each stream is at home on one of them, by the hash of its key, and has a Fanout on
// every loop that has viewers for it.
//
//     loop 0: hub ── Fanout live/a ◄──────news────── loop 1: hub ── HomeStream live/a ── Puller ─► upstream
//               └─── HomeStream live/b                        └─── Fanout live/a
//
// Threading: everything on the hub's own loop, but for what connect() makes the hubs say to each
// other, which travels as messages. Bounds: streams by what viewers and publishers ask for; names
// known not to exist are kept for negative_ttl, at most max_missing.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "edge/fanout.h"
#include "edge/home_stream.h"

namespace weir {

class StreamHub {
 public:
  struct Context {
    Loop& loop;
    const EdgeOptions& options;
    EdgeMetrics& metrics;
    MergeWindow& window;
    Routing& routing;
    Resolver& resolver;
  };

  explicit StreamHub(Context context) : context_(context), gone_(context.loop) {}
  ~StreamHub();

  // Makes the hubs of all loops known to this one, in the order of their loops. Before the loops
  // run.
  void connect(std::vector<StreamHub*> hubs) { hubs_ = std::move(hubs); }

  Loop& loop() const { return context_.loop; }
  const EdgeOptions& options() const { return context_.options; }

  // Whether viewers of this loop watch the stream.
  bool watches(const std::string& key) const { return fanouts_.contains(key); }
  bool watches_any() const { return !fanouts_.empty(); }

  // Of the streams at home here.
  std::vector<StreamReport> reports() const;

  // Finds the stream, and waits until a viewer can start. The Fanout is for an admit() in the same
  // turn. Errors: NotFound and whatever else kept the stream from starting; Timeout after
  // start_timeout.
  Task<Result<Fanout*>> join(StreamRequest request, Format format);

  // A publisher on this loop, until it is destroyed or `ended` tells that its time is over.
  class Publication {
   public:
    ~Publication();
    Publication(const Publication&) = delete;
    Publication& operator=(const Publication&) = delete;

    // To a stream at home on another loop the packet travels as a copy.
    void ingest(const flv::Tag& tag);

   private:
    friend class StreamHub;
    Publication(StreamHub& hub, StreamHub& home, std::string key, std::uint64_t id);

    StreamHub& hub_;
    StreamHub& home_;
    std::string key_;
    std::uint64_t id_;
  };
  // Errors: Busy, and the upstream's refusal. `ended` is called on this loop, at most once, when
  // the stream wants no more of this publisher.
  Task<Result<std::unique_ptr<Publication>>> publish(StreamRequest request,
                                                     std::function<void(Error)> ended);

 private:
  struct Missing {
    Error why;
    Clock::time_point until;
  };

  StreamHub& home_of(const std::string& key) const;

  // On the stream's home loop.
  Task<void> subscribe(int loop, std::uint64_t subscription, Format format, StreamRequest request);
  Task<void> past_end(const std::string& key);
  void unsubscribe(const std::string& key, int loop, std::uint64_t subscription);
  Task<Result<void>> publish_at_home(std::uint64_t publisher, StreamRequest request);
  void ingest(const std::string& key, std::uint64_t publisher, const flv::Tag& tag);
  void unpublish(const std::string& key, std::uint64_t publisher);
  HomeStream& home_stream(const StreamRequest& request);
  void remember_missing(const std::string& key, const Error& why);
  void deliver(const std::string& key, int loop, std::uint64_t subscription, StreamNews news);
  void evict(std::uint64_t publisher, const Error& why);

  // On the viewers' loop.
  Fanout& fanout(const std::string& key);
  void hear(const std::string& key, std::uint64_t subscription, StreamNews news);
  void drop_if_idle(const std::string& key);

  Context context_;
  std::vector<StreamHub*> hubs_;
  std::unordered_map<std::string, std::unique_ptr<HomeStream>> home_;
  Gate gone_;  // one of home_ has gone
  std::unordered_map<std::string, std::unique_ptr<Fanout>> fanouts_;
  std::unordered_map<std::string, Missing> missing_;
  std::unordered_map<std::uint64_t, std::function<void(Error)>> publishers_;  // of this loop
  std::uint64_t next_id_ = 1;
};

}  // namespace weir
