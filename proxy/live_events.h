// proxy/live_events.h
// Tells whoever watches what this node does, once a second, by server-sent events.
//
//     picture() ──► one text ──► every watcher's socket          (while there is a watcher)
//     sample()  ──► the history                                  (always, every `sampling`)
//
// One thread makes the picture and writes to all watchers, so that they take none of the API's
// threads. A watcher that cannot take a picture before the next one gets the newest when it can, and
// nothing in between. Where a picture takes long to make, because very many are connected, there
// are fewer of them: making them takes kShare of the time at most.
//
// Threading: room(), take() and watchers() by any thread; picture() and sample() are called by its
// own. The destructor ends all connections.
// Bounds: `most` watchers, each with two pictures at most. One that takes no byte for `patience`, or
// says anything, is dropped.
#pragma once

#include <Poco/Net/StreamSocket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/error.h"

namespace weir {

class LiveEvents {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kShare = 20;  // one part in so many

  struct Handlers {
    std::function<Result<std::string>()> picture;  // one line
    std::function<void()> sample;
  };
  struct Options {
    std::size_t most = 32;
    std::chrono::milliseconds period{1'000};
    std::chrono::milliseconds sampling{10'000};
    std::chrono::milliseconds patience{10'000};
  };

  explicit LiveEvents(Handlers handlers);
  LiveEvents(Handlers handlers, Options options);
  ~LiveEvents();
  LiveEvents(const LiveEvents&) = delete;
  LiveEvents& operator=(const LiveEvents&) = delete;

  // Whether one more may watch. Errors: Unavailable.
  Result<void> room() const;
  // Answers a request that deserves it, on a connection that nobody else uses from now on.
  void take(Poco::Net::StreamSocket socket);
  std::size_t watchers() const { return count_; }

 private:
  using Text = std::shared_ptr<const std::string>;
  struct Watcher {
    Poco::Net::StreamSocket socket;
    Text text;  // what is being sent
    std::size_t sent = 0;
    Text newest;  // what follows it
    Clock::time_point progress;
  };

  void run();
  void welcome();
  void show(const Text& text);
  // False: it is gone, or too slow.
  bool push(Watcher& watcher, Clock::time_point now) const;
  void wait(Clock::time_point until);

  const Handlers handlers_;
  const Options options_;
  const int wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  std::vector<Poco::Net::StreamSocket> guests_;  // under mutex_
  std::vector<Watcher> watchers_;                // the thread's
  Clock::time_point next_picture_;
  Text last_;
  std::thread thread_;
};

}  // namespace weir
