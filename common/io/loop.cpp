#include "common/io/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/check.h"

namespace weir {

namespace {

thread_local Loop* current_loop = nullptr;

constexpr auto kUtilisationPeriod = std::chrono::milliseconds(250);

int epoll_timeout_ms(std::optional<Clock::time_point> wake) {
  if (!wake) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*wake - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
}

detail::Detached run_detached(Task<void> task, int& running) {
  ++running;
  co_await task;
  --running;
}

}  // namespace

TurnEnd::~TurnEnd() {
  if (loop_ != nullptr) std::erase(loop_->turn_end_, this);
}

Loop* Loop::current() { return current_loop; }

Loop::Loop(int index)
    : index_(index),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(Clock::now()),
      timers_(now_),
      scratch_(kScratchSize),
      period_start_(now_) {
  INVARIANT(epoll_fd_ >= 0 && wake_fd_ >= 0, std::strerror(errno));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  INVARIANT(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0, std::strerror(errno));
}

Loop::~Loop() {
  close(wake_fd_);
  close(epoll_fd_);
}

void Loop::run() {
  INVARIANT(current_loop == nullptr);
  current_loop = this;
  while (!stopped_.load(std::memory_order_relaxed)) turn();
  current_loop = nullptr;
}

void Loop::stop() {
  post([this] { stopped_.store(true, std::memory_order_relaxed); });
}

void Loop::turn() {
  std::array<epoll_event, kMaxEvents> events;
  const int timeout =
      std::exchange(self_posted_, false) ? 0 : epoll_timeout_ms(timers_.next_wake());
  const int count = epoll_wait(epoll_fd_, events.data(), kMaxEvents, timeout);
  INVARIANT(count >= 0 || errno == EINTR, std::strerror(errno));
  now_ = Clock::now();
  const auto woke = now_;
  dispatch({events.data(), static_cast<std::size_t>(std::max(count, 0))});
  timers_.advance(now_);
  run_posted();
  finish_turn();
  account(woke, Clock::now());
}

void Loop::dispatch(std::span<epoll_event> events) {
  ready_ = events;
  while (!ready_.empty()) {
    const epoll_event event = ready_.front();
    ready_ = ready_.subspan(1);
    auto* watcher = static_cast<Watcher*>(event.data.ptr);
    if (watcher != nullptr) watcher->on_ready(event.events);
  }
}

void Loop::run_posted() {
  std::vector<Message> batch;
  {
    std::lock_guard lock(inbox_mutex_);
    if (!wake_sent_) return;
    batch.swap(inbox_);
    wake_sent_ = false;
    // The wake-up is edge-triggered and only ever added to: nothing reads it back.
  }
  for (auto& message : batch) message();
}

void Loop::finish_turn() {
  // Work may schedule more work: what comes in while this runs is this turn's too.
  while (!resume_.empty() || !turn_end_.empty()) {
    while (!resume_.empty()) {
      auto waiting = std::exchange(resume_, {});
      for (auto waiter : waiting) waiter.resume();
    }
    if (turn_end_.empty()) continue;
    TurnEnd* work = turn_end_.back();
    turn_end_.pop_back();
    work->loop_ = nullptr;
    work->turn_ended();
  }
  for (auto& outbox : outboxes_) {
    if (outbox.messages.empty()) continue;
    Loop& to = *outbox.to;
    bool wake = false;
    {
      std::lock_guard lock(to.inbox_mutex_);
      std::ranges::move(outbox.messages, std::back_inserter(to.inbox_));
      wake = !std::exchange(to.wake_sent_, true);
    }
    outbox.messages.clear();
    if (wake) eventfd_write(to.wake_fd_, 1);
  }
}

void Loop::post(Message message) {
  Loop* from = current_loop;
  if (from != nullptr && from != this) {
    auto outbox = std::ranges::find(from->outboxes_, this, &Outbox::to);
    if (outbox == from->outboxes_.end())
      outbox = from->outboxes_.insert(outbox, Outbox{.to = this, .messages = {}});
    outbox->messages.push_back(std::move(message));
    return;
  }
  bool wake = false;
  {
    std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(message));
    wake = !std::exchange(wake_sent_, true);
  }
  if (from == this)
    self_posted_ = true;
  else if (wake)
    eventfd_write(wake_fd_, 1);
}

void Loop::add(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  INVARIANT(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0, fd, std::strerror(errno));
}

void Loop::modify(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  INVARIANT(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0, fd, std::strerror(errno));
}

void Loop::remove(int fd, Watcher& watcher) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  for (auto& event : ready_)
    if (event.data.ptr == &watcher) event.data.ptr = nullptr;
}

void Loop::at_turn_end(TurnEnd& work) {
  if (work.loop_ != nullptr) return;
  work.loop_ = this;
  turn_end_.push_back(&work);
}

void Loop::resume_soon(std::coroutine_handle<> waiter) { resume_.push_back(waiter); }

void Loop::spawn(Task<void> task) { run_detached(std::move(task), spawned_); }

void Loop::cancel_all() {
  cancelled_ = true;
  timers_.cancel_all();
}

void Loop::account(Clock::time_point woke, Clock::time_point slept) {
  busy_ += slept - woke;
  const auto period = slept - period_start_;
  if (period < kUtilisationPeriod) return;
  const double share =
      std::min(1.0, static_cast<double>(busy_.count()) / static_cast<double>(period.count()));
  utilisation_.store((utilisation() + share) / 2, std::memory_order_relaxed);
  busy_ = {};
  period_start_ = slept;
}

}  // namespace weir
