#include "common/io/child.h"

#include <string>
#include <catch2/catch.hpp>

#include "common/io/gate.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

Task<void> wait_then_note(Gate& gate, std::string& notes, char note) {
  auto woken = co_await gate.wait(Deadline::max());
  notes += woken ? note : '!';
}
Task<void> note_at_once(std::string& notes, char note) {
  notes += note;
  co_return;
}
Task<void> join_then_note(Child& child, std::string& notes, char note) {
  co_await child.join();
  notes += note;
}

}  // namespace

TEST_CASE("joining waits for the child's end", "[child]") {
  Loop loop;
  std::string notes;
  auto body = [](Loop& on, std::string& all) -> Task<void> {
    Gate gate(on);
    Child child(on);
    child.start(wait_then_note(gate, all, 'c'));
    CHECK(child.running());
    all += 's';
    gate.notify();
    co_await child.join();
    CHECK_FALSE(child.running());
    all += 'j';
  };
  test::run(loop, body(loop, notes));
  CHECK(notes == "scj");
}

TEST_CASE("joining a child that has ended, or was never started, does not wait", "[child]") {
  Loop loop;
  std::string notes;
  auto body = [](Loop& on, std::string& all) -> Task<void> {
    Child never(on);
    co_await never.join();
    Child child(on);
    child.start(note_at_once(all, 'c'));
    CHECK_FALSE(child.running());
    co_await child.join();
  };
  test::run(loop, body(loop, notes));
  CHECK(notes == "c");
}

TEST_CASE("a child that has ended can be started again", "[child]") {
  Loop loop;
  std::string notes;
  auto body = [](Loop& on, std::string& all) -> Task<void> {
    Child child(on);
    for (const char note : {'1', '2', '3'}) {
      Gate gate(on);
      child.start(wait_then_note(gate, all, note));
      gate.notify();
      co_await child.join();
    }
  };
  test::run(loop, body(loop, notes));
  CHECK(notes == "123");
}

TEST_CASE("everyone who joins goes on, in the order of joining", "[child]") {
  Loop loop;
  std::string notes;
  auto body = [](Loop& on, std::string& all) -> Task<void> {
    Gate gate(on);
    Child child(on);
    Child first(on);
    Child second(on);
    child.start(wait_then_note(gate, all, 'c'));
    first.start(join_then_note(child, all, '1'));
    second.start(join_then_note(child, all, '2'));
    gate.notify();
    co_await second.join();
    co_await first.join();
  };
  test::run(loop, body(loop, notes));
  CHECK(notes == "c12");
}

TEST_CASE("a child ends when its owner closes what it waits on", "[child]") {
  Loop loop;
  Errc how = Errc::System;
  auto body = [](Loop& on, Errc& ended) -> Task<void> {
    auto pair = test::socket_pair(on);
    auto read_on = [](Socket& socket, Errc& code) -> Task<void> {
      auto got = co_await socket.read(socket.loop().scratch(), Deadline::max());
      if (!got) code = got.error().code;
    };
    Child reader(on);
    reader.start(read_on(*pair[0], ended));
    pair[0]->close();
    co_await reader.join();
  };
  test::run(loop, body(loop, how));
  CHECK(how == Errc::Cancelled);
}

TEST_CASE("joining outlasts the loop's giving up of its waits", "[child]") {
  Loop loop;
  std::string notes;
  auto body = [](Loop& on, std::string& all) -> Task<void> {
    Gate gate(on);
    Child child(on);
    child.start(wait_then_note(gate, all, 'c'));
    on.cancel_all();
    co_await child.join();
    all += 'j';
  };
  test::run(loop, body(loop, notes));
  CHECK(notes == "!j");
}
