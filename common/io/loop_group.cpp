#include "common/io/loop_group.h"

#include <condition_variable>
#include <future>
#include <mutex>

namespace weir {

namespace {
constexpr int kHops = 8;  // more than any exchange of messages between loops has
}  // namespace

LoopGroup::LoopGroup(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    loops_.push_back(std::make_unique<Loop>(static_cast<int>(i)));
}

LoopGroup::~LoopGroup() {
  for (auto& loop : loops_) loop->stop();
  for (auto& thread : threads_) thread.join();
}

void LoopGroup::start() {
  for (auto& loop : loops_) threads_.emplace_back([&loop] { loop->run(); });
}

void LoopGroup::on_each(const std::function<void(Loop&)>& work) {
  for (auto& loop : loops_) {
    std::promise<void> done;
    loop->post([&] {
      work(*loop);
      done.set_value();
    });
    done.get_future().wait();
  }
}

bool LoopGroup::answer(milliseconds patience) {
  // Shared, because a late answer comes when nobody waits for it any more.
  struct Count {
    std::mutex mutex;
    std::condition_variable all;
    std::size_t missing;
  };
  auto count = std::make_shared<Count>();
  count->missing = loops_.size();
  for (auto& loop : loops_) {
    loop->post([count] {
      std::lock_guard lock(count->mutex);
      if (--count->missing == 0) count->all.notify_all();
    });
  }
  std::unique_lock lock(count->mutex);
  return count->all.wait_for(lock, patience, [&] { return count->missing == 0; });
}

bool LoopGroup::shut_down(milliseconds patience) {
  constexpr milliseconds kLook{5};
  on_each([](Loop& loop) { loop.cancel_all(); });
  const auto deadline = Clock::now() + patience;
  // Sessions of one loop may wait for another, so none stops before all are through.
  int sessions = 1;
  while (sessions > 0 && Clock::now() < deadline) {
    sessions = 0;
    on_each([&](Loop& loop) { sessions += loop.spawned(); });
    if (sessions > 0) std::this_thread::sleep_for(kLook);
  }
  // What the last sessions have said to other loops, and the answers to it, arrive before anything
  // that they speak of is let go.
  for (int hop = 0; hop < kHops; ++hop) on_each([](Loop&) {});
  return sessions == 0;
}

}  // namespace weir
