#include "proxy/upstream_health.h"

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

struct Watched {
  bool failed(double now) { return health.failed(options, at(now)); }
  bool hung_up(double now) { return health.hung_up(options, at(now)); }
  bool probed(Probed result, double now) { return health.probed(options, result, at(now)); }
  void good(int times, double from) {
    for (int i = 0; i < times; ++i) probed(Probed::Good, from + i);
  }
  bool ejected(double now) const { return health.ejected(at(now)); }
  double warmth(double now) const { return health.warmth(options, at(now)); }

  HealthOptions options{};
  UpstreamHealth health{};
};

}  // namespace

TEST_CASE("a failure puts an upstream out of use at once for five seconds", "[upstream_health]") {
  Watched it;
  CHECK(it.failed(0));
  CHECK(it.ejected(4.9));
  CHECK_FALSE(it.ejected(5));
}

TEST_CASE("sessions that fail together count as one incident", "[upstream_health]") {
  Watched it;
  CHECK(it.failed(0));
  for (int i = 1; i < 30; ++i) CHECK_FALSE(it.failed(0.01 * i));
  CHECK_FALSE(it.ejected(5));
  CHECK(it.health.failures() == 30);
  CHECK(it.health.ejections() == 1);
}

TEST_CASE("the back-off grows by five seconds an incident, up to a minute", "[upstream_health]") {
  Watched it;
  double now = 0;
  for (int incident = 1; incident <= 30; ++incident) {
    it.failed(now);
    const double out = std::min(5.0 * incident, 60.0);
    CHECK(it.ejected(now + out - 0.1));
    CHECK_FALSE(it.ejected(now + out));
    it.health.succeeded(at(now + out));  // up for a second, as a flapping one is
    now += out + 1;
  }
}

TEST_CASE("who stayed in use as long as it was ejected is forgiven by a success",
          "[upstream_health]") {
  Watched it;
  it.failed(0);
  it.failed(5);  // out until 15
  it.health.succeeded(at(25));
  it.failed(26);
  CHECK(it.ejected(30.9));
  CHECK_FALSE(it.ejected(31));
}

TEST_CASE("a success during the ejection ends it without forgiving", "[upstream_health]") {
  Watched it;
  it.failed(0);
  it.health.succeeded(at(1));
  CHECK_FALSE(it.ejected(1));
  it.failed(2);
  CHECK(it.ejected(11.9));
}

TEST_CASE("four hang-ups in a row say nothing, the fifth ejects", "[upstream_health]") {
  Watched it;
  for (int i = 0; i < 4; ++i) CHECK_FALSE(it.hung_up(i));
  CHECK_FALSE(it.ejected(4));
  CHECK(it.hung_up(4));
  CHECK(it.ejected(5));
}

TEST_CASE("who only hung up keeps its streams, until it proves to be worse", "[upstream_health]") {
  Watched refusing;
  for (int i = 0; i < 5; ++i) refusing.hung_up(0);
  CHECK(refusing.health.keeps_streams());
  CHECK(refusing.failed(1));
  CHECK_FALSE(refusing.health.keeps_streams());
  CHECK_FALSE(refusing.failed(1));

  Watched hung;
  for (int i = 0; i < 5; ++i) hung.hung_up(0);
  CHECK_FALSE(hung.probed(Probed::Bad, 1));
  CHECK_FALSE(hung.probed(Probed::Bad, 2));
  CHECK(hung.probed(Probed::Bad, 3));
  CHECK_FALSE(hung.health.keeps_streams());
}

TEST_CASE("a session served in between makes hang-ups no row", "[upstream_health]") {
  Watched it;
  for (int i = 0; i < 20; ++i) {
    CHECK_FALSE(it.hung_up(i));
    if (i % 4 == 3) it.health.served();
  }
  CHECK_FALSE(it.ejected(20));
}

TEST_CASE("the third bad probe in a row ejects, a refused one does at once", "[upstream_health]") {
  Watched hung;
  CHECK_FALSE(hung.probed(Probed::Bad, 0));
  CHECK_FALSE(hung.probed(Probed::Bad, 1));
  hung.probed(Probed::Good, 2);
  CHECK_FALSE(hung.probed(Probed::Bad, 3));
  CHECK_FALSE(hung.probed(Probed::Bad, 4));
  CHECK_FALSE(hung.ejected(4));
  CHECK(hung.probed(Probed::Bad, 5));
  CHECK(hung.ejected(5));
  CHECK(hung.health.probes() == Probes::Down);

  Watched dead;
  CHECK(dead.probed(Probed::Refused, 0));
  CHECK_FALSE(dead.probed(Probed::Refused, 1));
  CHECK(dead.ejected(1));
}

TEST_CASE("whom probes find down is out beyond its back-off and whoever connects",
          "[upstream_health]") {
  Watched it;
  it.probed(Probed::Refused, 0);
  it.health.succeeded(at(1));
  CHECK(it.ejected(1));
  CHECK(it.ejected(600));
  it.good(2, 600);
  CHECK_FALSE(it.ejected(601));
  CHECK(it.health.probes() == Probes::Up);
}

TEST_CASE("two good probes end a first ejection early, a second one needs four",
          "[upstream_health]") {
  Watched it;
  it.failed(0);
  it.good(1, 0.5);
  CHECK(it.ejected(0.5));
  it.good(1, 1.5);
  CHECK_FALSE(it.ejected(1.5));

  it.failed(2);  // out until 12
  it.good(3, 3);
  CHECK(it.ejected(5));
  it.good(1, 6);
  CHECK_FALSE(it.ejected(6));
}

TEST_CASE("an upstream that is up every other second stays out", "[upstream_health]") {
  Watched it;
  it.probed(Probed::Refused, 0);
  for (int second = 1; second < 100; ++second) {
    it.probed(second % 2 == 1 ? Probed::Good : Probed::Refused, second);
    CHECK(it.ejected(second));
  }
  CHECK(it.health.ejections() == 1);
}

TEST_CASE("an upstream that keeps failing after it came back is trusted ever later",
          "[upstream_health]") {
  Watched it;
  double now = 0;
  for (int incident = 1; incident <= 6; ++incident) {
    it.probed(Probed::Refused, now);
    int probes = 0;
    while (it.ejected(now)) it.probed(Probed::Good, now += 1), ++probes;
    CHECK(probes == 2 * incident);
    now += 1;
  }
}

TEST_CASE("probes that only connect end nothing that sessions began", "[upstream_health]") {
  Watched it;
  it.options.probes_talk = false;
  it.failed(0);
  it.good(4, 0.5);
  CHECK(it.ejected(4.9));
  CHECK_FALSE(it.ejected(5));
  it.probed(Probed::Refused, 6);
  it.good(4, 7);
  CHECK_FALSE(it.ejected(10));
}

TEST_CASE("a restart begins in use, without a record, but for the totals", "[upstream_health]") {
  Watched it;
  it.probed(Probed::Refused, 0);
  it.failed(0);
  it.health.restarted(at(1));
  CHECK_FALSE(it.ejected(1));
  CHECK(it.health.probes() == Probes::Unknown);
  CHECK(it.health.ejections() == 1);
  it.failed(2);
  CHECK_FALSE(it.ejected(7));
}

TEST_CASE("warmth rises from a tenth to one after joining and after an ejection",
          "[upstream_health]") {
  Watched it;
  CHECK(it.warmth(0) == 1);
  it.options.slow_start = std::chrono::seconds{30};
  CHECK(it.warmth(0) == 1);  // here from the beginning
  it.health.joined(at(0));
  CHECK(it.warmth(0) == Approx(0.1));
  CHECK(it.warmth(15) == Approx(0.5));
  CHECK(it.warmth(30) == 1);
  it.failed(40);
  CHECK(it.warmth(45) == Approx(0.1));
  CHECK(it.warmth(60) == Approx(0.5));
  it.health.succeeded(at(60));
  CHECK(it.warmth(60) == Approx(0.5));
}

}  // namespace weir
