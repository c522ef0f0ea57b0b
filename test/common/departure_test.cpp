#include "common/departure.h"

#include <pthread.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace weir {
namespace {

using namespace std::chrono_literals;

class KeepMask {
 public:
  KeepMask() { pthread_sigmask(SIG_SETMASK, nullptr, &before_); }
  ~KeepMask() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  KeepMask(const KeepMask&) = delete;
  KeepMask& operator=(const KeepMask&) = delete;

 private:
  sigset_t before_{};
};

bool never() { return false; }

}  // namespace

TEST_CASE("a departure tells who wanted it", "[departure]") {
  const KeepMask mask;
  for (const auto& [signal, reason] : {std::pair{SIGTERM, Departure::Reason::Terminate},
                                       std::pair{SIGINT, Departure::Reason::Interrupt}}) {
    Departure departure;
    CHECK_FALSE(departure.leaving());
    ::kill(::getpid(), signal);
    CHECK(departure.wait() == reason);
    CHECK(departure.leaving());
  }
  Departure departure;
  departure.ask();
  departure.ask();
  CHECK(departure.wait() == Departure::Reason::Asked);
  CHECK(std::string(name(Departure::Reason::Asked)) == "control API");
}

TEST_CASE("lingering ends when it is over, when time is up, and by a second signal",
          "[departure]") {
  const KeepMask mask;
  Departure departure;
  departure.ask();
  departure.wait();
  CHECK(departure.linger(60s, [] { return true; }));
  CHECK(departure.linger(1ms, never));
  departure.ask();  // no second signal
  CHECK(departure.linger(1ms, never));
  ::kill(::getpid(), SIGTERM);
  CHECK_FALSE(departure.linger(60s, never));
}

}  // namespace weir
