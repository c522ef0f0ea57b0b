#include "proxy/system_desk.h"

#include <exception>

namespace weir {

namespace {

SystemAnswer page(const SystemPages& pages, const SystemDesk::Question& question) {
  try {
    return pages.answer({.method = question.method,
                         .target = question.target,
                         .sender = question.sender,
                         .authorization = question.authorization,
                         .host = question.host,
                         .origin = question.origin},
                        [] { return std::unexpected(refusal(501, "no bodies here")); });
  } catch (const std::exception&) {
    return refusal(500, "internal error");
  }
}

}  // namespace

// `wait` and `answer` belong to the loop, all else is constant.
struct SystemDesk::Asked {
  Asked(Loop& on, Question asked) : loop(on), question(std::move(asked)), wait(on) {}

  Loop& loop;
  const Question question;
  Wait wait;
  std::optional<SystemAnswer> answer;
};

SystemDesk::SystemDesk(SystemPages pages, std::size_t threads, std::size_t max_waiting)
    : max_waiting_(max_waiting), pages_(std::make_shared<const SystemPages>(std::move(pages))) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

void SystemDesk::change(SystemPages pages) {
  auto next = std::make_shared<const SystemPages>(std::move(pages));
  const std::lock_guard lock(mutex_);
  pages_ = std::move(next);
}

SystemDesk::~SystemDesk() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

Task<SystemAnswer> SystemDesk::answer(Loop& loop, Question question) {
  auto asked = std::make_shared<Asked>(loop, std::move(question));
  bool taken = false;
  {
    const std::lock_guard lock(mutex_);
    taken = waiting_.size() < max_waiting_;
    if (taken) waiting_.push_back(asked);
  }
  if (!taken) co_return refusal(503, "too many ask at once");
  changed_.notify_one();
  auto woken = co_await asked->wait.until(loop.in(kPatience));
  if (!woken || !asked->answer) co_return refusal(503, "no answer in time");
  co_return std::move(*asked->answer);
}

void SystemDesk::work() {
  while (true) {
    std::shared_ptr<Asked> asked;
    std::shared_ptr<const SystemPages> pages;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      if (ended_) return;
      asked = std::move(waiting_.front());
      waiting_.pop_front();
      pages = pages_;
    }
    auto answer = page(*pages, asked->question);
    Loop& loop = asked->loop;
    loop.post([asked = std::move(asked), answer = std::move(answer)]() mutable {
      asked->answer = std::move(answer);
      if (asked->wait.waiting()) asked->wait.wake();
    });
  }
}

}  // namespace weir
