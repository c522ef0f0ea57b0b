#include "common/io/task.h"

#include <string>
#include <catch2/catch.hpp>

#include "common/io/gate.h"
#include "test/support/loop_fixture.h"

using namespace weir;

namespace {

Task<int> ready(int value) { co_return value; }

Task<void> await_ready_tasks(int count, long& sum) {
  for (int i = 0; i < count; ++i) {
    int value = co_await ready(1);
    sum += value;
  }
}

Task<int> descend(int depth) {
  if (depth == 0) co_return 0;
  int below = co_await descend(depth - 1);
  co_return below + 1;
}

Task<void> append_when_open(Gate& gate, std::string& log, std::string name) {
  auto woken = co_await gate.wait(Deadline::max());
  log += name + (woken ? "+" : "-");
}

}  // namespace

TEST_CASE("a million ready tasks in a row need no stack", "[task]") {
  Loop loop;
  long sum = 0;
  test::run(loop, await_ready_tasks(1'000'000, sum));
  CHECK(sum == 1'000'000);
}

TEST_CASE("tasks nest and give their results outwards", "[task]") {
  Loop loop;
  int depth = 0;
  auto body = [](int& out) -> Task<void> { out = co_await descend(1000); };
  test::run(loop, body(depth));
  CHECK(depth == 1000);
}

TEST_CASE("a gate lets everyone who waits go on later in the turn", "[task]") {
  Loop loop;
  std::string log;
  auto body = [](Loop& on, std::string& out) -> Task<void> {
    Gate gate(on);
    on.spawn(append_when_open(gate, out, "a"));
    on.spawn(append_when_open(gate, out, "b"));
    gate.notify();
    on.spawn(append_when_open(gate, out, "c"));
    out += "|";
    gate.notify();
    co_return;
  };
  test::run(loop, body(loop, log));
  CHECK(log == "|a+b+c+");
}

TEST_CASE("a gate's wait ends at its deadline and when the loop gives up", "[task]") {
  Loop loop;
  std::string log;
  auto body = [](Loop& on, std::string& out) -> Task<void> {
    Gate gate(on);
    auto late = co_await gate.wait(on.in(milliseconds(5)));
    out += late.error().code == Errc::Timeout ? "timeout " : "? ";
    on.spawn(append_when_open(gate, out, "x"));
    on.cancel_all();
    auto after = co_await gate.wait(Deadline::max());
    out += after.error().code == Errc::Cancelled ? " cancelled" : " ?";
  };
  test::run(loop, body(loop, log));
  CHECK(log == "timeout x- cancelled");
}
