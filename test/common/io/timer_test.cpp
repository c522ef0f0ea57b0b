#include "common/io/timer.h"

#include <memory>
#include <random>
#include <vector>
#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

struct Probe final : Timer {
  explicit Probe(std::vector<int>& out, int id) : log(out), name(id) {}
  void expired() override { log.push_back(name); }
  void cancelled() override { log.push_back(-name); }
  std::vector<int>& log;
  int name;
};

}  // namespace

TEST_CASE("timers fire in order, none before its time", "[timer]") {
  const Clock::time_point start{};
  TimerWheel wheel(start);
  std::vector<int> log;
  Probe a(log, 1);
  Probe b(log, 2);
  Probe c(log, 3);
  wheel.arm(c, start + 5s);
  wheel.arm(a, start + 3ms);
  wheel.arm(b, start + 70ms);
  CHECK(wheel.next_wake() == start + 3ms);
  wheel.advance(start + 2999us);
  CHECK(log.empty());
  wheel.advance(start + 3ms);
  CHECK(log == std::vector{1});
  wheel.advance(start + 69ms);
  CHECK(log == std::vector{1});
  wheel.advance(start + 10s);
  CHECK(log == std::vector{1, 2, 3});
  CHECK_FALSE(wheel.next_wake());
}

TEST_CASE("a disarmed, re-armed or destroyed timer does not fire at its old time", "[timer]") {
  const Clock::time_point start{};
  TimerWheel wheel(start);
  std::vector<int> log;
  Probe moved(log, 1);
  Probe dropped(log, 2);
  auto gone = std::make_unique<Probe>(log, 3);
  for (Timer* timer : {static_cast<Timer*>(&moved), static_cast<Timer*>(&dropped),
                       static_cast<Timer*>(gone.get())})
    wheel.arm(*timer, start + 10ms);
  wheel.arm(moved, start + 20ms);
  dropped.disarm();
  gone.reset();
  wheel.advance(start + 15ms);
  CHECK(log.empty());
  wheel.advance(start + 20ms);
  CHECK(log == std::vector{1});
}

TEST_CASE("random timers up to days ahead each fire in the millisecond they are due", "[timer]") {
  std::mt19937 random(7);
  const Clock::time_point start{};
  TimerWheel wheel(start);
  struct Due final : Timer {
    void expired() override { fired = *now; }
    Clock::time_point* now = nullptr;
    Clock::time_point fired{};
  };
  std::vector<std::unique_ptr<Due>> timers;
  std::vector<Clock::time_point> due;
  Clock::time_point now = start;
  for (int i = 0; i < 2000; ++i) {
    const auto reach = std::uint64_t{1} << (random() % 29);
    due.push_back(start + milliseconds(1 + random() % reach));
    timers.push_back(std::make_unique<Due>());
    timers.back()->now = &now;
    wheel.arm(*timers.back(), due.back());
  }
  while (auto wake = wheel.next_wake()) {
    REQUIRE(*wake >= now);
    now = std::max(*wake, now + 1ms);
    wheel.advance(now);
  }
  for (std::size_t i = 0; i < timers.size(); ++i) CHECK(timers[i]->fired == due[i]);
}

TEST_CASE("giving up tells every timer once", "[timer]") {
  const Clock::time_point start{};
  TimerWheel wheel(start);
  std::vector<int> log;
  Probe a(log, 1);
  Probe b(log, 2);
  wheel.arm(a, start + 1ms);
  wheel.arm(b, Clock::time_point::max());
  wheel.cancel_all();
  CHECK(log == std::vector{-1, -2});
  CHECK_FALSE(wheel.next_wake());
}
