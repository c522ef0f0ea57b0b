#include "common/io/pump.h"

#include <string>
#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "common/metrics.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

using Pair = std::array<std::unique_ptr<Socket>, 2>;

Task<void> write_and_end(Socket& socket, std::string text) {
  auto sent = co_await socket.write(as_bytes(text), socket.loop().in(5s));
  CHECK(sent);
  socket.shut_down_writes();
}

Task<std::string> read_all(Socket& socket) {
  std::string text;
  while (true) {
    auto got = co_await socket.read(socket.loop().scratch(), socket.loop().in(5s));
    if (!got) co_return text;
    text += as_text(socket.loop().scratch().first(*got));
  }
}

Task<void> pump_into(Socket& from, Socket& to, PumpOptions options, PumpEnd& end) {
  auto ended = co_await pump(from, to, options);
  end = std::move(ended);
}

Task<void> relay_into(Socket& a, Socket& b, RelayOptions options, RelayEnd& end) {
  auto ended = co_await relay_both(a, b, options);
  end = std::move(ended);
}

struct TwoBytes final : PumpExtent {
  std::size_t room(std::size_t most) const override { return most; }
  Result<std::size_t> take(ByteView bytes) override {
    const auto taken = std::min<std::size_t>(left, bytes.size());
    left -= taken;
    return taken;
  }
  bool ended() const override { return left == 0; }
  bool closed() override { return ended(); }
  std::size_t left = 2;
};

}  // namespace

TEST_CASE("a pump carries everything, and says who ended it", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair source = test::socket_pair(on);
    Pair sink = test::socket_pair(on);
    const std::string text(5'000'000, 'x');
    Tally tally;
    PumpEnd end;
    Child beside(on);
    beside.start(pump_into(*source[1], *sink[0], {.tally = &tally}, end));
    on.spawn(write_and_end(*source[0], text));
    std::string got;
    while (got.size() < text.size()) {
      auto some = co_await sink[1]->read(on.scratch(), on.in(5s));
      REQUIRE(some);
      got += as_text(on.scratch().first(*some));
    }
    co_await beside.join();
    CHECK(got == text);
    CHECK(end.complete);
    CHECK(end.side == PumpEnd::Side::From);
    CHECK(end.why.code == Errc::Closed);
    CHECK(end.bytes == text.size());
    CHECK(tally.value() == text.size());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a receiver that takes nothing stops the sender, and ends the pump after the stall time",
          "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair source = test::socket_pair(on);
    Pair sink = test::socket_pair(on);
    PumpEnd end;
    Child beside(on);
    beside.start(pump_into(*source[1], *sink[0], {.stall = 20ms}, end));
    const std::string much(20'000'000, 'x');
    auto sent = co_await source[0]->write(as_bytes(much), on.in(100ms));
    CHECK(!sent);
    co_await beside.join();
    CHECK(end.side == PumpEnd::Side::To);
    CHECK(end.why.code == Errc::Timeout);
    CHECK(end.bytes < 2'000'000);  // what the kernel holds
  };
  test::run(loop, body(loop));
}

TEST_CASE("a silent sender ends the pump after the idle time, if there is one", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair source = test::socket_pair(on);
    Pair sink = test::socket_pair(on);
    auto end = co_await pump(*source[1], *sink[0], {.idle = 10ms});
    CHECK(!end.complete);
    CHECK(end.side == PumpEnd::Side::From);
    CHECK(end.why.code == Errc::Timeout);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a pump stops at its extent's end and gives back what came after", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair source = test::socket_pair(on);
    Pair sink = test::socket_pair(on);
    on.spawn(write_and_end(*source[0], "abcde"));
    TwoBytes two;
    auto end = co_await pump(*source[1], *sink[0], {.extent = &two});
    CHECK(end.complete);
    CHECK(end.bytes == 2);
    CHECK(as_text(end.excess) == "cde");
    TwoBytes three{};
    three.left = 3;
    auto cut = co_await pump(*source[1], *sink[0], {.extent = &three});
    CHECK(!cut.complete);
    CHECK(cut.why.code == Errc::Closed);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a closed receiver ends the pump with its next bytes", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair source = test::socket_pair(on);
    Pair sink = test::socket_pair(on);
    sink[1]->close();
    on.spawn(write_and_end(*source[0], "abc"));
    auto end = co_await pump(*source[1], *sink[0], {});
    CHECK(end.side == PumpEnd::Side::To);
    CHECK(end.why.code == Errc::Reset);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a half-close is passed on, and the other direction may finish", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair left = test::socket_pair(on);
    Pair right = test::socket_pair(on);
    RelayEnd end;
    Child beside(on);
    beside.start(relay_into(*left[1], *right[0], {}, end));
    on.spawn(write_and_end(*left[0], "question"));
    auto question = co_await read_all(*right[1]);
    CHECK(question == "question");
    on.spawn(write_and_end(*right[1], "answer"));
    auto answer = co_await read_all(*left[0]);
    CHECK(answer == "answer");
    co_await beside.join();
    CHECK(end.a_ended_it);
    CHECK(end.a_to_b.complete);
    CHECK(end.b_to_a.complete);
    CHECK(end.a_to_b.bytes == 8);
    CHECK(end.b_to_a.bytes == 6);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a side that does not answer a half-close is ended after the linger", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair left = test::socket_pair(on);
    Pair right = test::socket_pair(on);
    left[0]->shut_down_writes();
    auto end = co_await relay_both(*left[1], *right[0], {.linger = 10ms});
    CHECK(end.a_ended_it);
    CHECK(end.b_to_a.why.code == Errc::Cancelled);
    auto seen = co_await read_all(*right[1]);
    CHECK(seen.empty());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a side that dies ends the other at once", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair left = test::socket_pair(on);
    Pair right = test::socket_pair(on);
    left[0]->close();  // both ways: what b sends cannot be delivered
    RelayEnd end;
    Child beside(on);
    beside.start(relay_into(*left[1], *right[0], {.linger = 10s}, end));
    auto sent = co_await right[1]->write(as_bytes("x"), on.in(5s));
    CHECK(sent);
    co_await beside.join();
    CHECK(!end.b_to_a.complete);
    CHECK(!right[0]->is_open());
  };
  test::run(loop, body(loop));
}

TEST_CASE("a relay ends when its loop gives up", "[pump]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Pair left = test::socket_pair(on);
    Pair right = test::socket_pair(on);
    RelayEnd end;
    Child beside(on);
    beside.start(relay_into(*left[1], *right[0], {}, end));
    on.cancel_all();
    co_await beside.join();
    CHECK(end.a_to_b.why.code == Errc::Cancelled);
  };
  test::run(loop, body(loop));
}
