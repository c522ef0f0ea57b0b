#include "common/redis/pipeline.h"

#include <functional>
#include <catch2/catch.hpp>

#include "test/support/loopback.h"

using namespace weir;
using namespace weir::redis;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// A pipeline to a server that the test plays itself.
struct Rig {
  explicit Rig(Loop& loop_) : loop(loop_), ends(socket_pair(loop_)) {
    pipeline = std::make_unique<Pipeline>(std::make_unique<Connection>(std::move(ends[0])));
    loop.spawn(run_pipeline(*this));
  }
  static Task<void> run_pipeline(Rig& rig) { rig.why = co_await rig.pipeline->run(); }

  Task<void> answer(std::string_view bytes) {
    auto sent = co_await ends[1]->write(as_bytes(bytes), loop.in(kPatience));
    static_cast<void>(sent);  // who has heard enough may hang up
  }
  // What the server hears, up to as many bytes as `expected` has.
  Task<bool> hears(std::string expected) {
    std::string heard;
    std::array<std::uint8_t, 4096> buffer{};
    while (heard.size() < expected.size()) {
      auto got = co_await ends[1]->read(buffer, loop.in(kPatience));
      REQUIRE(got);
      heard += as_text({buffer.data(), *got});
    }
    co_return heard == expected;
  }

  Loop& loop;
  std::array<std::unique_ptr<Socket>, 2> ends;
  std::unique_ptr<Pipeline> pipeline;
  std::optional<Error> why;
};

struct Question {
  std::optional<Result<Replies>> result;
};

Task<void> ask(Rig& rig, Question& call, Commands commands, milliseconds patience = kPatience) {
  call.result = co_await rig.pipeline->call(std::move(commands), rig.loop.in(patience));
}

// One GET for each letter.
Commands get(std::string_view keys) {
  Commands commands;
  for (const char key : keys) commands.push_back({"GET", std::string(1, key)});
  return commands;
}

Commands set(const std::string& value) { return Commands(1, Command{"SET", "k", value}); }

const std::string kPing = "*1\r\n$4\r\nPING\r\n";

void in_a_loop(std::function<Task<void>(Rig&)> body) {
  struct Runner {
    static Task<void> go(Loop& loop, const std::function<Task<void>(Rig&)>& body) {
      Rig rig(loop);
      co_await body(rig);
      co_await end_all_others(loop);
    }
  };
  Loop loop;
  run(loop, Runner::go(loop, body));
}

}  // namespace

TEST_CASE("what is asked in one turn leaves together, and everyone gets his own replies",
          "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig) {
      Question one;
      Question two;
      rig.loop.spawn(ask(rig, one, get("ab")));
      rig.loop.spawn(ask(rig, two, get("c")));
      bool heard = co_await rig.hears(
          "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$"
          "1\r\nc\r\n");
      CHECK(heard);
      co_await rig.answer("$1\r\n1\r\n-ERR no\r\n$1\r\n3\r\n");
      const bool answered = co_await comes_true(rig.loop, [&] { return two.result.has_value(); });
      REQUIRE(answered);
      REQUIRE(one.result->value().size() == 2);
      CHECK((**one.result)[0].is_text("1"));
      CHECK((**one.result)[1].is_error("ERR"));
      CHECK((**two.result)[0].is_text("3"));
    }
  };
  in_a_loop(Body::go);
}

TEST_CASE("a caller waits for its deadline, and until something comes others do not wait at all",
          "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig) {
      Question late;
      co_await ask(rig, late, get("a"), 10ms);
      CHECK(late.result->error().code == Errc::Timeout);
      CHECK_FALSE(rig.pipeline->usable());
      Question refused;
      co_await ask(rig, refused, get("b"));
      CHECK(refused.result->error().code == Errc::Unavailable);

      // The abandoned reply wakes the pipeline and goes to nobody.
      co_await rig.answer("$4\r\nlate\r\n");
      const bool usable = co_await comes_true(rig.loop, [&] { return rig.pipeline->usable(); });
      REQUIRE(usable);
      Question next;
      rig.loop.spawn(ask(rig, next, get("c")));
      co_await rig.answer("$4\r\nmine\r\n");
      const bool answered = co_await comes_true(rig.loop, [&] { return next.result.has_value(); });
      REQUIRE(answered);
      CHECK((**next.result)[0].is_text("mine"));
    }
  };
  in_a_loop(Body::go);
}

TEST_CASE("an idle pipeline asks PING, and ends when nothing comes", "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig) {
      bool pinged = co_await rig.hears(kPing);
      CHECK(pinged);
      co_await rig.answer("+PONG\r\n");
      pinged = co_await rig.hears(kPing);
      CHECK(pinged);
      const bool ended = co_await comes_true(rig.loop, [&] { return rig.why.has_value(); });
      REQUIRE(ended);
      CHECK(rig.why->code == Errc::Timeout);
      Question refused;
      co_await ask(rig, refused, get("a"));
      CHECK(refused.result->error().code == Errc::Unavailable);
    }
  };
  in_a_loop(Body::go);
}

TEST_CASE("a connection that breaks or talks nonsense fails all who wait, at once", "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig, std::string bytes, Errc expected) {
      Question one;
      Question two;
      rig.loop.spawn(ask(rig, one, get("a")));
      rig.loop.spawn(ask(rig, two, get("bc")));
      if (!bytes.empty())
        co_await rig.answer(bytes);
      else
        rig.ends[1]->shut_down_writes();
      const bool failed = co_await comes_true(
          rig.loop, [&] { return one.result.has_value() && two.result.has_value(); });
      REQUIRE(failed);
      CHECK((*two.result ? expected : two.result->error().code) == expected);
      const bool ended = co_await comes_true(rig.loop, [&] { return rig.why.has_value(); });
      REQUIRE(ended);
      CHECK(rig.why->code == expected);
    }
  };
  const auto with = [](std::string bytes, Errc expected) {
    return [=](Rig& rig) { return Body::go(rig, bytes, expected); };
  };
  SECTION("the end") { in_a_loop(with("", Errc::Closed)); }
  SECTION("nonsense") { in_a_loop(with("HTTP/1.1 200 OK\r\n", Errc::Protocol)); }
  SECTION("a reply nested too deep") {
    std::string deep;
    for (int i = 0; i < 1000; ++i) deep += "*1\r\n";
    in_a_loop(with(deep, Errc::Protocol));
  }
  SECTION("a huge reply") {
    in_a_loop(with("$100000000\r\n" + std::string(1'100'000, 'x'), Errc::Limit));
  }
  SECTION("more replies than questions") {
    in_a_loop(with("+a\r\n+b\r\n+c\r\n+d\r\n", Errc::Protocol));
  }
  SECTION("a server that has become a replica") {
    in_a_loop(
        with("-READONLY You can't write against a read only replica.\r\n", Errc::Unavailable));
  }
}

TEST_CASE("as many calls wait as the limit and no more", "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig) {
      std::vector<Question> calls(Pipeline::kMaxWaiting);
      for (Question& call : calls) rig.loop.spawn(ask(rig, call, get("a")));
      for (const Question& call : calls) REQUIRE_FALSE(call.result.has_value());
      Question past;
      co_await ask(rig, past, get("a"));
      CHECK(past.result->error().code == Errc::Limit);
      rig.ends[1]->close();
      const bool failed =
          co_await comes_true(rig.loop, [&] { return calls.back().result.has_value(); });
      CHECK(failed);
    }
  };
  in_a_loop(Body::go);
}

TEST_CASE("a server that does not read gets no more than the limit to read", "[redis]") {
  struct Body {
    static Task<void> go(Rig& rig) {
      const std::string value(Pipeline::kMaxUnsent, 'v');
      Question first;
      Question second;
      rig.loop.spawn(ask(rig, first, set(value)));  // on its way, as far as it goes
      co_await Turn{rig.loop};
      rig.loop.spawn(ask(rig, second, set(value)));
      Question past;
      co_await ask(rig, past, get("a"));
      CHECK(past.result->error().code == Errc::Limit);
      const bool ended = co_await comes_true(rig.loop, [&] { return rig.why.has_value(); });
      REQUIRE(ended);
      CHECK(rig.why->code == Errc::Timeout);
      CHECK(first.result->error().code == Errc::Timeout);
    }
  };
  in_a_loop(Body::go);
}
