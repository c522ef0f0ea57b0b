#include "proxy/access/stream_seats.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

using namespace weir;

TEST_CASE("a stream has its seats and no more, until one is given back", "[access]") {
  StreamSeats seats;
  auto one = seats.take("a", 2);
  const auto two = seats.take("a", 2);
  CHECK((one && two));
  CHECK_FALSE(seats.take("a", 2));
  CHECK(seats.take("b", 2));
  one.reset();
  const auto three = seats.take("a", 2);
  CHECK(three);
  CHECK_FALSE(seats.take("a", 2));
  // The limit of now counts, whoever came before.
  CHECK(seats.take("a", 3));
  CHECK_FALSE(seats.take("a", 1));
  CHECK_FALSE(seats.take("c", 0));
}

TEST_CASE("seats are taken and given back by many threads", "[access]") {
  StreamSeats seats;
  std::atomic<int> most = 0, present = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int round = 0; round < 2000; ++round) {
          const auto seat = seats.take("a", 3);
          if (seat == nullptr) continue;
          const int here = ++present;
          for (int seen = most; here > seen && !most.compare_exchange_weak(seen, here);) {
          }
          --present;
        }
      });
  }
  CHECK(most <= 3);
  CHECK(seats.take("a", 1));
}
