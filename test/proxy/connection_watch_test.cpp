#include "proxy/connection_watch.h"

#include <array>
#include <thread>
#include <catch2/catch.hpp>

namespace weir {
namespace {

using namespace std::chrono_literals;

// One end is watched, the other tells whether it was ended.
struct Pair {
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }
  ~Pair() {
    for (const int end : ends) ::close(end);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  bool ended() const {
    char byte = 0;
    return ::recv(ends[1], &byte, 1, MSG_DONTWAIT) == 0;
  }

  std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("a visit ends at its deadline and not before", "[connection_watch]") {
  ConnectionWatch watch{10s, 200ms};
  const Pair pair;
  const auto before = ConnectionWatch::Clock::now();
  ConnectionWatch::Visit visit{watch, pair.ends[0]};
  const auto after = ConnectionWatch::Clock::now();
  visit.answering();
  watch.sweep(before + 9999ms, true);
  CHECK_FALSE(pair.ended());
  watch.sweep(after + 10s, false);
  CHECK(pair.ended());
}

TEST_CASE("only who is being waited for has to hurry, and only while others wait",
          "[connection_watch]") {
  ConnectionWatch watch{10s, 200ms};
  const Pair pair;
  ConnectionWatch::Visit visit{watch, pair.ends[0]};
  const auto later = ConnectionWatch::Clock::now() + 5s;
  watch.sweep(later, false);
  visit.answering();
  watch.sweep(later, true);
  CHECK_FALSE(pair.ended());
  visit.reading();
  watch.sweep(later, true);
  CHECK(pair.ended());
}

TEST_CASE("at the end nothing more is read and what is being answered may be said",
          "[connection_watch]") {
  ConnectionWatch watch{10s, 200ms};
  const Pair pair;
  std::thread answering{[&, visit = std::make_unique<ConnectionWatch::Visit>(watch, pair.ends[0])] {
    char byte = 0;
    while (::recv(pair.ends[0], &byte, 1, 0) > 0) continue;  // until reading has ended
    CHECK(::send(pair.ends[0], "!", 1, MSG_NOSIGNAL) == 1);
  }};
  watch.end_all(10s);
  answering.join();
  char byte = 0;
  CHECK(::recv(pair.ends[1], &byte, 1, MSG_DONTWAIT) == 1);
  CHECK(watch.empty());
}

TEST_CASE("after end_all no visit begins", "[connection_watch]") {
  ConnectionWatch watch{10s, 200ms};
  const Pair first;
  const Pair second;
  const ConnectionWatch::Visit before{watch, first.ends[0]};
  watch.end_all(0ms);
  CHECK(first.ended());
  const ConnectionWatch::Visit after{watch, second.ends[0]};
  CHECK(second.ended());
}

TEST_CASE("a visit that is over is not watched", "[connection_watch]") {
  ConnectionWatch watch{10s, 200ms};
  const Pair pair;
  {
    const ConnectionWatch::Visit visit{watch, pair.ends[0]};
  }
  CHECK(watch.empty());
  watch.sweep(ConnectionWatch::Clock::now() + 1h, true);
  CHECK_FALSE(pair.ended());
  CHECK_FALSE(ConnectionWatch::Visit(watch, -1).watched());
}

}  // namespace weir
