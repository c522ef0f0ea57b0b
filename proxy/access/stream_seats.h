// proxy/access/stream_seats.h
// How many watch each stream, for limits.viewers_per_stream. A viewer holds its seat for as long as
// it lives.
//
// Threading: any. Bounds: one entry per stream that has viewers.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace weir {

class StreamSeats {
 public:
  // Null when all `most` are taken. REQUIRES: this outlives every seat.
  std::shared_ptr<void> take(const std::string& stream, std::size_t most) {
    const std::lock_guard lock(mutex_);
    std::size_t& taken = taken_[stream];
    if (taken >= most) {
      if (taken == 0) taken_.erase(stream);
      return nullptr;
    }
    ++taken;
    return std::make_shared<Seat>(*this, stream);
  }

 private:
  struct Seat {
    Seat(StreamSeats& owner_, std::string stream_) : owner(owner_), stream(std::move(stream_)) {}
    ~Seat() { owner.give_back(stream); }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    StreamSeats& owner;
    std::string stream;
  };

  void give_back(const std::string& stream) {
    const std::lock_guard lock(mutex_);
    const auto found = taken_.find(stream);
    if (--found->second == 0) taken_.erase(found);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> taken_;
};

}  // namespace weir
