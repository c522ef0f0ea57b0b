// cache/http_fill.h
// A request to the origin that is under way for everybody who wants one object.
//
//     Asked ──► Answered   the object is there; its body may still arrive
//           ├─► Private    the response is nobody's but the first asker's: ask for yourselves
//           └─► Failed     there is no response
//
// Threading: settled once, by the loop that asks; looked at and awaited by any.
// Bounds: one for each key and selection that is asked for.
#pragma once

#include <atomic>

#include "cache/http_object.h"

namespace weir {

class HttpFill {
 public:
  enum class State : std::uint8_t { Asked, Answered, Private, Failed };
  // What the origin had to do with an answer.
  enum class Came : std::uint8_t { Whole, NotModified, StaleOnError, FromTier };

  HttpFill(std::string key, VaryValues selects)
      : key_(std::move(key)), selects_(std::move(selects)) {}

  const std::string& key() const { return key_; }
  // Whether who sends `request` may wait for it.
  bool serves(const http::Headers& request) const { return matches(selects_, request); }

  State state() const { return state_.load(std::memory_order_acquire); }
  Broadcast& changed() { return changed_; }
  // When Answered.
  const HttpObjectRef& object() const { return object_; }
  Came came() const { return came_; }
  // When Failed.
  const Error& error() const { return error_; }

  void answer(HttpObjectRef object, Came came) {
    object_ = std::move(object);
    came_ = came;
    settle(State::Answered);
  }
  void keep_private() { settle(State::Private); }
  void fail(Error error) {
    error_ = std::move(error);
    settle(State::Failed);
  }

  // Somebody who has not begun to read the answer yet.
  bool awaited() const { return askers_.load(std::memory_order_acquire) > 0; }

  // What it brings is outdated before it has come: it is not stored.
  void invalidate() { invalid_.store(true, std::memory_order_relaxed); }
  bool valid() const { return !invalid_.load(std::memory_order_relaxed); }

 private:
  friend class HttpAsker;
  void settle(State state) {
    state_.store(state, std::memory_order_release);
    changed_.announce();
  }

  const std::string key_;
  const VaryValues selects_;
  std::atomic<State> state_{State::Asked};
  std::atomic<bool> invalid_{false};
  std::atomic<int> askers_{0};
  HttpObjectRef object_;
  Came came_ = Came::Whole;
  Error error_;
  Broadcast changed_;
};

using HttpFillRef = std::shared_ptr<HttpFill>;

// One who waits for a fill, until they read its object or want it no more.
class HttpAsker {
 public:
  explicit HttpAsker(HttpFillRef fill) : fill_(std::move(fill)) {
    fill_->askers_.fetch_add(1, std::memory_order_relaxed);
  }
  HttpAsker(HttpAsker&&) = default;
  HttpAsker& operator=(HttpAsker&&) = delete;
  ~HttpAsker() { leave(); }

  HttpFill& fill() const { return *fill_; }
  void leave() {
    if (fill_ == nullptr) return;
    fill_->askers_.fetch_sub(1, std::memory_order_release);
    fill_->changed_.announce();
    fill_ = nullptr;
  }

 private:
  HttpFillRef fill_;
};

}  // namespace weir
