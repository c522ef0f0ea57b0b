// proxy/connection_watch.h
// Ends connections that outstay their time, for the threads that serve them blocking.
//
// A timeout of one read does not bound a client that drips byte after byte; this looks at the whole
// visit: `deadline` from its begin, and `hurry` for each request while others wait. The end is a
// shutdown() of a duplicate of the descriptor, since the visit's own thread may close the original
// meanwhile and the kernel give its number away.
//
// Threading: any thread. Bounds: one entry and one descriptor for each open Visit.
#pragma once

#include <Poco/Net/StreamSocket.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <unordered_set>

namespace weir {

class ConnectionWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // One connection while a thread serves it.
  class Visit {
   public:
    Visit(ConnectionWatch& watch, int socket) : watch_(watch), socket_(::dup(socket)) {
      const std::lock_guard lock{watch_.mutex_};
      watch_.visits_.insert(this);
      if (watch_.ended_) end();
    }
    ~Visit() {
      {
        const std::lock_guard lock{watch_.mutex_};
        watch_.visits_.erase(this);
        watch_.gone_.notify_all();
      }
      if (socket_ >= 0) ::close(socket_);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    // False when descriptors have run out: then nobody would end it.
    bool watched() const { return socket_ >= 0; }

    // Until reading() it is our turn, not the client's. It begins with the client's.
    void answering() {
      const std::lock_guard lock{watch_.mutex_};
      reading_ = false;
    }
    void reading() {
      const std::lock_guard lock{watch_.mutex_};
      reading_ = true;
      since_ = Clock::now();
    }

   private:
    friend class ConnectionWatch;
    void end() const { ::shutdown(socket_, SHUT_RDWR); }

    ConnectionWatch& watch_;
    int socket_;
    bool reading_ = true;
    Clock::time_point began_ = Clock::now();
    Clock::time_point since_ = began_;
  };

  ConnectionWatch(std::chrono::milliseconds deadline, std::chrono::milliseconds hurry)
      : deadline_(deadline), hurry_(hurry) {}

  // Call it several times in each `hurry`.
  void sweep(Clock::time_point now, bool others_wait) {
    const std::lock_guard lock{mutex_};
    for (const Visit* visit : visits_) {
      const bool dawdles = others_wait && visit->reading_ && now - visit->since_ >= hurry_;
      if (dawdles || now - visit->began_ >= deadline_) visit->end();
    }
  }

  // All of now, and all to come. What has been asked is answered yet, for as long as `patience`.
  void end_all(std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    ended_ = true;
    for (const Visit* visit : visits_) ::shutdown(visit->socket_, SHUT_RD);
    if (gone_.wait_for(lock, patience, [this] { return visits_.empty(); })) return;
    for (const Visit* visit : visits_) visit->end();
  }

  // Lets go of the acceptor's reference, in order with the visit that may be over already. Poco's
  // counter orders that as well, but ThreadSanitizer does not see into Poco.
  void part_with(std::optional<Poco::Net::StreamSocket>& guest) {
    const std::lock_guard lock{mutex_};
    guest.reset();
  }

  bool empty() {
    const std::lock_guard lock{mutex_};
    return visits_.empty();
  }

 private:
  const std::chrono::milliseconds deadline_;
  const std::chrono::milliseconds hurry_;
  std::mutex mutex_;
  std::condition_variable gone_;
  std::unordered_set<const Visit*> visits_;
  bool ended_ = false;
};

}  // namespace weir
