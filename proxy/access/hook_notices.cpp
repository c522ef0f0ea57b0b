#include "proxy/access/hook_notices.h"

#include "common/io/backoff.h"

namespace weir {

namespace {

constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{10'000};

}  // namespace

void HookNotices::add(std::vector<Message> messages, const HookOptions& options) {
  if (messages.empty()) return;
  if (queue_.size() >= options.queue) return dropped_.Increment();
  timeout_ = options.timeout;
  queue_.push_back({std::move(messages), loop_.now() + options.keep});
  if (tellers_ >= kTellers || loop_.cancelled()) return;
  ++tellers_;
  loop_.spawn(tell());
}

Task<void> HookNotices::tell() {
  Backoff pauses(kFirstPause, kLongestPause);
  while (!queue_.empty() && !loop_.cancelled()) {
    Notice notice = std::move(queue_.front());
    queue_.pop_front();
    while (!notice.messages.empty()) {
      const Message& next = notice.messages.front();
      auto told = co_await caller_.post(next.url, next.body, timeout_);
      if (!told && told.error().code == Errc::Cancelled) break;
      if (told) {
        notice.messages.erase(notice.messages.begin());
        pauses.reset();
      } else if (loop_.now() >= notice.until) {
        dropped_.Increment();
        notice.messages.clear();
      } else {
        auto rested = co_await weir::sleep(loop_, pauses.next());
        if (!rested) break;
      }
    }
    if (!notice.messages.empty()) queue_.push_front(std::move(notice));
  }
  --tellers_;
}

}  // namespace weir
