#include "common/sessions.h"

#include <catch2/catch.hpp>

#include <future>
#include <set>

#include "common/io/ask.h"
#include "common/session_directory.h"
#include "test/support/loop_fixture.h"
#include "test/support/loopback.h"

namespace weir {
namespace {

using namespace std::chrono_literals;

SessionFacts facts(std::string stream, SessionKind kind = SessionKind::Play) {
  return {.kind = kind, .protocol = "rtmp", .stream = std::move(stream)};
}

struct Fake {
  Fake(std::string stream, SessionKind kind = SessionKind::Play, Traffic so_far = {})
      : traffic(so_far),
        live(facts(std::move(stream), kind), [this] { return traffic; }, [this] { ++ends; }) {}
  Traffic traffic;
  int ends = 0;
  LiveSession live;
};

// What a witness was told, which may outlive it.
struct Heard {
  std::vector<std::string> began;
  std::vector<Clock::duration> joined;
  std::vector<std::string> ended;
};

class Witness final : public SessionWitness {
 public:
  explicit Witness(Heard& heard) : heard_(heard) {}
  void began(const SessionFacts& facts) override { heard_.began.push_back(facts.stream); }
  void joined(const SessionFacts&, Clock::duration wait) override { heard_.joined.push_back(wait); }
  void session_ended(const SessionEnd& end) override {
    std::string line = end.facts.stream + " " + std::string(end.reason);
    if (end.traffic.sent > 0)
      line += " " + std::to_string(end.traffic.received) + " " + std::to_string(end.traffic.sent);
    heard_.ended.push_back(line);
  }
  void answered(Clock::duration) override {}
  void request_ended(const RequestEnd&) override {}
  bool wants_requests() const override { return false; }

 private:
  Heard& heard_;
};

}  // namespace

TEST_CASE("a rate is that of the last periods, and of what is young that since its begin",
          "[sessions]") {
  const RateMeter::TimePoint begin{};
  RateMeter meter(begin);
  CHECK(meter.rate(begin + 2s, {.received = 250'000, .sent = 0}).received_kbps == 1000);
  for (int second = 0; second <= 60; ++second)  // 1 Mb/s, and none after half a minute
    meter.sample(begin + second * 1s,
                 {.received = 125'000ULL * static_cast<unsigned>(std::min(second, 30)), .sent = 7});
  CHECK(meter.rate(begin + 60s, {.received = 3'750'000, .sent = 7}).received_kbps == 0);
  CHECK(meter.rate(begin + 60s, {}).sent_kbps == 0);
}

TEST_CASE("a session without a directory is in no list", "[sessions]") {
  CHECK(Sessions::current() == nullptr);
  const Fake alone("v/a/s");
  CHECK(alone.live.id().empty());
}

TEST_CASE("sessions are listed in the order of their begin, page by page", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  std::vector<std::unique_ptr<Fake>> all;
  for (int i = 0; i < 5; ++i)
    all.push_back(std::make_unique<Fake>(i % 2 == 0 ? "v/a/even" : "v/a/odd"));
  std::set<std::string> ids;
  for (const auto& each : all) ids.insert(each->live.id());
  CHECK(ids.size() == 5);
  CHECK(ids.begin()->size() == 8);

  CHECK(sessions.list(0, 0).empty());
  CHECK(sessions.list(0, 9).size() == 5);
  CHECK(sessions.list(4, 9).size() == 1);
  CHECK(sessions.list(5, 9).empty());
  CHECK(sessions.list(1, 2).front().id == all[1]->live.id());
  CHECK(sessions.count("v/a/even") == 3);
  CHECK(sessions.list(1, 1, "v/a/even").front().id == all[2]->live.id());

  all.erase(all.begin() + 1);
  CHECK(sessions.size() == 4);
  CHECK(sessions.list(1, 1).front().id == all[1]->live.id());
  all.clear();
  CHECK(sessions.list(0, 9).empty());
}

TEST_CASE("ending one session ends no other, and asks once", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  Fake one("v/a/s");
  Fake other("v/a/s");
  CHECK_FALSE(one.live.ended());
  CHECK(sessions.end(one.live.id(), {Errc::Denied, "kicked"}));
  CHECK(sessions.end(one.live.id(), {Errc::Denied, "kicked again"}));
  CHECK(one.ends == 1);
  CHECK(one.live.ended()->text == "kicked");
  CHECK(other.ends == 0);
  CHECK_FALSE(sessions.end("nobody", {Errc::Denied, ""}));
}

TEST_CASE("an end may destroy its session", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  std::optional<LiveSession> session;
  session.emplace(facts("v/a/s"), [] { return Traffic{}; }, [&session] { session.reset(); });
  const std::string id = session->id();
  CHECK(sessions.end(id, {Errc::Denied, "kicked"}));
  CHECK(sessions.size() == 0);
  CHECK_FALSE(sessions.find(id));
}

TEST_CASE("a session ends when its permission does, and not before", "[sessions]") {
  Loop loop;
  Heard heard;
  Sessions sessions(loop, std::make_unique<Witness>(heard));
  Fake forever("v/a/forever");
  Fake later("v/a/later");
  later.live.set_expiry(101);
  std::optional<LiveSession> soon;
  SessionFacts brief = facts("v/a/soon");
  brief.expires = 100;
  soon.emplace(brief, [] { return Traffic{}; }, [&soon] { soon.reset(); });
  sessions.end_expired(99);
  CHECK(sessions.size() == 3);
  sessions.end_expired(100);
  CHECK_FALSE(soon);
  CHECK(heard.ended == std::vector<std::string>{"v/a/soon denied"});
  CHECK(later.ends == 0);
  sessions.end_expired(101);
  sessions.end_expired(102);
  CHECK(later.ends == 1);
  CHECK(later.live.ended()->code == Errc::Denied);
  CHECK(forever.ends == 0);
}

TEST_CASE("of a connection the permission of its present request counts", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  Fake one("v/a/s");
  one.live.set_expiry(100);
  one.live.set_expiry(200);
  sessions.end_expired(199);
  CHECK(one.ends == 0);
  one.live.set_expiry(0);
  sessions.end_expired(200);
  CHECK(one.ends == 0);
  auto brief = std::make_unique<Fake>("v/a/s");
  brief->live.set_expiry(300);
  brief.reset();
  sessions.end_expired(300);
  CHECK(one.ends == 0);
}

TEST_CASE("a tick looks whose permission is over", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  Fake over("v/a/s");
  over.live.set_expiry(1);
  auto body = [](Loop& on, Fake& fake) -> Task<void> {
    const bool ended = co_await test::comes_true(on, [&fake] { return fake.ends == 1; });
    CHECK(ended);
  };
  test::run(loop, body(loop, over));
}

TEST_CASE("a drain ends what is idle", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  Fake idle("v/a/s");
  Fake busy("v/a/s");
  idle.live.set_idle(true);
  CHECK_FALSE(sessions.draining());
  sessions.drain();
  CHECK(sessions.draining());
  CHECK(idle.ends == 1);
  CHECK(busy.ends == 0);
}

TEST_CASE("a stream's sessions are added up", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  const Fake publisher("v/a/s", SessionKind::Publish, {.received = 1000, .sent = 10});
  const Fake viewer("v/a/s", SessionKind::Play, {.received = 1, .sent = 900});
  const Fake second("v/a/s", SessionKind::Play, {.received = 1, .sent = 800});
  const Fake stranger("v/a/other");
  const Fake nameless("");
  auto streams = sessions.by_stream();
  CHECK(streams.size() == 2);
  StreamSessions& stream = streams.at("v/a/s");
  CHECK(stream.publisher->id == publisher.live.id());
  CHECK(stream.viewers.at("rtmp") == 2);
  CHECK(stream.publishing.received == 1000);
  CHECK(stream.playing.sent == 1700);
  stream.add(streams.at("v/a/other"));
  CHECK(stream.viewers.at("rtmp") == 3);
}

TEST_CASE("texts of peers are cut", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  SessionFacts long_one = facts("v/a/s");
  long_one.agent = std::string(LiveSession::kMaxText + 1, 'x');
  const LiveSession session(long_one, [] { return Traffic{}; }, [] {});
  CHECK(sessions.find(session.id())->facts.agent.size() == LiveSession::kMaxText);
}

TEST_CASE("the witness hears who came, joined and went, and why", "[sessions]") {
  Loop loop;
  Heard heard;
  {
    Sessions sessions(loop, std::make_unique<Witness>(heard));
    SessionFacts asked = facts("v/a/s");
    asked.asked = Clock::now() - 5s;
    LiveSession refused_too(asked, [] { return Traffic{.received = 7, .sent = 8}; }, [] {});
    refused_too.media_began();
    refused_too.media_began();
    refused_too.over(Errc::Timeout);
    {
      Fake kicked("v/a/s");
      kicked.live.over(Errc::Timeout);
      sessions.end(kicked.live.id(), {Errc::Cancelled, "kicked"});
    }
    SessionFacts connection = facts("");
    connection.connection = true;
    LiveSession quiet(connection, [] { return Traffic{}; }, [] {});
    quiet.describe("hls", "v/a/other");
    quiet.begin();
    quiet.describe("hls", "v/a/s");
    quiet.begin();
    LiveSession::refused(facts("v/a/none"), Errc::NotFound);
  }
  CHECK(heard.began == std::vector<std::string>{"v/a/s", "v/a/s", "v/a/other"});
  REQUIRE(heard.joined.size() == 1);
  CHECK(heard.joined[0] >= 5s);
  REQUIRE(heard.ended ==
          std::vector<std::string>{"v/a/s cancelled", "v/a/none not_found", "v/a/s timeout 7 8"});
}

TEST_CASE("what streams moved is told once, sessions that ended included", "[sessions]") {
  Loop loop;
  Sessions sessions(loop);
  Fake publisher("v/a/s", SessionKind::Publish, {.received = 1000, .sent = 10});
  auto viewer = std::make_unique<Fake>("v/a/s", SessionKind::Play, Traffic{1, 900});
  StreamLoads loads = sessions.take_loads();
  CHECK(loads.at("v/a/s").traffic.received == 1001);
  CHECK(loads.at("v/a/s").traffic.sent == 910);
  CHECK(loads.at("v/a/s").viewers == 1);
  CHECK(loads.at("v/a/s").publishers == 1);

  viewer->traffic.sent += 50;
  viewer.reset();
  publisher.traffic = {};  // of a closed socket nothing is known any more
  loads = sessions.take_loads();
  CHECK(loads.at("v/a/s").traffic.sent == 50);
  CHECK(loads.at("v/a/s").traffic.received == 0);
  CHECK(loads.at("v/a/s").viewers == 0);

  publisher.live.describe("rtmp", "v/a/moved");
  publisher.traffic.received = 1500;
  loads = sessions.take_loads();
  CHECK(loads.size() == 2);
  CHECK(loads.at("v/a/moved").traffic.received == 500);
  CHECK(sessions.take_loads().size() == 1);
}

TEST_CASE("the directory pages over all loops, and times out on one that hangs", "[sessions]") {
  LoopGroup loops(3);
  loops.start();
  SessionDirectory directory(loops);
  std::vector<std::unique_ptr<Fake>> all;
  loops.on_each([&](Loop&) {
    for (int i = 0; i < 3; ++i) all.push_back(std::make_unique<Fake>("v/a/s"));
  });
  CHECK(directory.size() == 9);
  CHECK(directory.page(0, 100)->total == 9);
  CHECK(directory.page(0, 100)->sessions.size() == 9);
  CHECK(directory.page(9, 100)->sessions.empty());
  std::vector<std::string> paged;
  for (std::size_t start = 0; start < 9; start += 2) {
    const auto page = directory.page(start, 2);
    for (const auto& session : page->sessions) paged.push_back(session.id);
  }
  std::vector<std::string> expected;
  for (const auto& each : all) expected.push_back(each->live.id());
  CHECK(paged == expected);
  CHECK(directory.page(0, 100, "v/a/none")->total == 0);
  CHECK(directory.by_stream()->at("v/a/s").viewers.at("rtmp") == 9);

  CHECK(directory.find(expected[4])->id == expected[4]);
  CHECK(directory.end(expected[4], {Errc::Denied, "kicked"}));
  CHECK(all[4]->ends == 1);
  CHECK(directory.end("nobody", {}).error().code == Errc::NotFound);

  {
    std::promise<void> go_on;
    loops[1].post([waits = go_on.get_future().share()] { waits.wait(); });
    auto late = ask_each(loops, [](Loop& loop) { return loop.index(); }, 20ms);
    go_on.set_value();
    CHECK(late.error().code == Errc::Timeout);
  }
  loops.on_each([&](Loop& loop) {
    std::erase_if(all, [&](const auto& each) {
      return each->live.id().front() == static_cast<char>('0' + loop.index());
    });
  });
  CHECK(directory.size() == 0);
}

}  // namespace weir
