// proxy/system_desk.h
// Threads that answer the system API's questions for loops, which may not wait.
//
//     loop ──question──► waiting ──► a thread: SystemPages::answer() ──answer──► the loop
//
// Pages ask every loop and wait for all; so whoever asks is never a loop itself.
//
// Threading: answer() on any loop, the constructor and the destructor on main's thread. REQUIRES: the
// loops outlive this.
// Bounds: `threads`; `max_waiting` questions, and one more is refused at once; kPatience.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/io/wait.h"
#include "proxy/system_pages.h"

namespace weir {

class SystemDesk {
 public:
  static constexpr milliseconds kPatience{10'000};

  // What SystemRequest has, owned.
  struct Question {
    std::string method;
    std::string target;
    std::string sender;
    std::string authorization{};
    std::string host{};
    std::string origin{};
  };

  explicit SystemDesk(SystemPages pages, std::size_t threads = 2, std::size_t max_waiting = 64);
  // Questions that nobody has begun to answer are dropped.
  ~SystemDesk();
  SystemDesk(const SystemDesk&) = delete;
  SystemDesk& operator=(const SystemDesk&) = delete;

  // Without the request's body, which no page that is asked here reads. 503 when too many wait, or
  // when it takes too long.
  Task<SystemAnswer> answer(Loop& loop, Question question);

  // What is answered from here on; any thread.
  void change(SystemPages pages);

 private:
  struct Asked;

  void work();

  const std::size_t max_waiting_;
  std::mutex mutex_;  // for the next four
  std::shared_ptr<const SystemPages> pages_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Asked>> waiting_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weir
