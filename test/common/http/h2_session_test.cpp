#include "common/http/h2_session.h"

#include <catch2/catch.hpp>

#include "test/support/h2_wire.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using http::H2Session;
using http::H2Stream;

namespace {

// RFC 9113 section 7.
constexpr std::uint32_t kProtocolError = 1;
constexpr std::uint32_t kRefusedStream = 7;
constexpr std::uint32_t kEnhanceYourCalm = 11;

using Visit = Task<void> (*)(Loop&, H2Rig&);

void visit(Visit go, milliseconds stall = kPatience) {
  const QuietLog quiet;
  struct Whole {
    static Task<void> go(Loop& loop, Visit visit, milliseconds stall) {
      H2Rig rig(loop, stall);
      co_await Turn{loop};
      co_await visit(loop, rig);
      rig.leave();
      const bool ended = co_await comes_true(loop, [&] { return rig.over && rig.served == 0; });
      CHECK(ended);
      CHECK(rig.wire->closed);
    }
  };
  Loop loop;
  run(loop, Whole::go(loop, go, stall));
}

// So many cheap frames, of which each costs us something.
Task<void> flood(Loop& loop, H2Rig& rig, std::string frame, std::size_t many) {
  for (std::size_t i = 0; i < many; ++i) {
    rig.say(frame);
    if (i % 16 == 0) co_await Turn{loop};
  }
  co_await Turn{loop};
}

constexpr auto kAllowed = static_cast<std::size_t>(H2Session::kTrifles);

// At the bound the session goes on, and soon past it it does not.
Task<void> expect_bound(Loop& loop, H2Rig& rig, std::string frame, std::size_t spent) {
  co_await flood(loop, rig, frame, kAllowed - spent);
  rig.say(h2_get(1'000'001));
  const bool served = co_await comes_true(loop, [&] { return rig.complete(1'000'001); });
  CHECK(served);
  CHECK_FALSE(rig.goaway());
  co_await flood(loop, rig, frame, kAllowed);
  const bool over = co_await comes_true(loop, [&] { return rig.over.has_value(); });
  CHECK(over);
  CHECK(rig.goaway() == kEnhanceYourCalm);
}

}  // namespace

TEST_CASE("requests of one connection are served side by side", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say(h2_preface() + h2_get(1, "/wait") + h2_get(3, "/b") + h2_get(5, "/c"));
    const bool served =
        co_await comes_true(loop, [&] { return rig.complete(3) && rig.complete(5); });
    CHECK(served);
    CHECK(rig.body(3) == "/b");
    CHECK(rig.body(5) == "/c");
    CHECK_FALSE(rig.complete(1));
    CHECK(rig.served == 1);
    CHECK(rig.requests.front() == "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n");
  });
}

TEST_CASE("a body comes in chunks, however it is framed, and also at once with its head",
          "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    const auto post = [](std::uint32_t stream) {
      return H2Frame{.type = H2Frame::Headers,
                     .flags = H2Frame::kEndHeaders,
                     .stream = stream,
                     .payload = "\x83\x87" + field(":path", "/echo") + field(":authority", "a")}
          .text();
    };
    const auto data = [](std::uint32_t stream, std::string text, std::uint8_t flags = 0) {
      return H2Frame{.type = H2Frame::Data, .flags = flags, .stream = stream, .payload = text}
          .text();
    };
    rig.say(h2_preface() + post(1));
    rig.say(data(1, "hel") + data(1, "lo", H2Frame::kEndStream));
    rig.say(post(3) + data(3, "hel") + data(3, "lo", H2Frame::kEndStream));
    for (const std::uint32_t stream : {1, 3}) {
      const bool served = co_await comes_true(loop, [&] { return rig.complete(stream); });
      CHECK(served);
      CHECK(rig.body(stream) == "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    }
  });
}

TEST_CASE("a response waits for the client's window, and takes it all in the end", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    constexpr std::size_t kWindow = 65'535;
    rig.say(h2_preface() + h2_get(1, "/big"));
    const bool filled = co_await comes_true(loop, [&] { return rig.body(1).size() == kWindow; });
    CHECK(filled);
    CHECK(rig.served == 1);
    const auto grant = [](std::uint32_t stream, std::size_t more) {
      return H2Frame{.type = H2Frame::WindowUpdate,
                     .stream = stream,
                     .payload = be32(static_cast<std::uint32_t>(more))}
          .text();
    };
    rig.say(grant(1, 2 * H2Rig::kBig) + grant(0, 10));
    const bool little =
        co_await comes_true(loop, [&] { return rig.body(1).size() == kWindow + 10; });
    CHECK(little);
    rig.say(grant(0, H2Rig::kBig));
    const bool complete = co_await comes_true(loop, [&] { return rig.complete(1); });
    CHECK(complete);
    CHECK(rig.body(1) == std::string(H2Rig::kBig, 'x'));
  });
}

TEST_CASE("a client that resets a stream sends its server home", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say(h2_preface() + h2_get(1, "/wait"));
    const bool served = co_await comes_true(loop, [&] { return rig.requests.size() == 1; });
    CHECK(served);
    rig.say(h2_reset(1));
    const bool home = co_await comes_true(loop, [&] { return rig.served == 0; });
    CHECK(home);
    rig.say(h2_get(3));
    const bool goes_on = co_await comes_true(loop, [&] { return rig.complete(3); });
    CHECK(goes_on);
  });
}

TEST_CASE("as many streams as announced are served, and the next is refused", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    std::string all = h2_preface();
    std::uint32_t id = 1;
    for (std::size_t i = 0; i < H2Session::kMostStreams; ++i, id += 2) all += h2_get(id, "/wait");
    rig.say(all);
    const bool served =
        co_await comes_true(loop, [&] { return rig.requests.size() == H2Session::kMostStreams; });
    CHECK(served);
    CHECK(rig.count(H2Frame::Reset) == 0);
    rig.say(h2_get(id, "/wait"));
    const bool refused = co_await comes_true(loop, [&] { return rig.count(H2Frame::Reset) == 1; });
    CHECK(refused);
    CHECK(rig.count(H2Frame::Reset, kRefusedStream) == 1);
    CHECK(rig.requests.size() == H2Session::kMostStreams);
    rig.say(h2_reset(1));
    const bool room =
        co_await comes_true(loop, [&] { return rig.served < H2Session::kMostStreams; });
    CHECK(room);
    rig.say(h2_get(id + 2));
    const bool next = co_await comes_true(loop, [&] { return rig.complete(id + 2); });
    CHECK(next);
  });
}

TEST_CASE("who resets streams as fast as they are opened is sent away", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say(h2_preface());
    std::uint32_t id = 1;
    for (; id < 2 * (kAllowed - 2); id += 2) {
      rig.say(h2_get(id, "/wait") + h2_reset(id));
      if (id % 16 == 1) co_await Turn{loop};
    }
    CHECK_FALSE(rig.goaway());
    for (; id < 10 * kAllowed && !rig.over; id += 2) {
      rig.say(h2_get(id, "/wait") + h2_reset(id));
      if (id % 16 == 1) co_await Turn{loop};
    }
    const bool over = co_await comes_true(loop, [&] { return rig.over.has_value(); });
    CHECK(over);
    CHECK(rig.goaway() == kEnhanceYourCalm);
    CHECK(rig.requests.size() < 2 * kAllowed);
  });
}

TEST_CASE("who floods with frames that carry nothing is sent away", "[http2]") {
  SECTION("PING") {
    visit([](Loop& loop, H2Rig& rig) -> Task<void> {
      rig.say(h2_preface());
      const H2Frame ping{.type = H2Frame::Ping, .payload = "12345678"};
      co_await expect_bound(loop, rig, ping.text(), 1);
    });
  }
  SECTION("SETTINGS") {
    visit([](Loop& loop, H2Rig& rig) -> Task<void> {
      rig.say(h2_preface());
      const H2Frame settings{.type = H2Frame::Settings};
      co_await expect_bound(loop, rig, settings.text(), 1);
    });
  }
  SECTION("PRIORITY") {
    visit([](Loop& loop, H2Rig& rig) -> Task<void> {
      rig.say(h2_preface());
      const H2Frame frame{.type = H2Frame::Priority, .stream = 1'000'003, .payload = be32(0) + "a"};
      co_await expect_bound(loop, rig, frame.text(), 1);
    });
  }
  SECTION("DATA without data") {
    visit([](Loop& loop, H2Rig& rig) -> Task<void> {
      const std::string post = "\x83\x87" + field(":path", "/wait") + field(":authority", "a");
      const H2Frame head{
          .type = H2Frame::Headers, .flags = H2Frame::kEndHeaders, .stream = 1, .payload = post};
      rig.say(h2_preface() + head.text());
      const H2Frame empty{.type = H2Frame::Data, .stream = 1};
      co_await expect_bound(loop, rig, empty.text(), 1);
    });
  }
}

TEST_CASE("a header block in endless pieces ends the connection", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    const auto block = [](std::uint32_t id, std::size_t pieces) {
      std::string text = H2Frame{.type = H2Frame::Headers,
                                 .flags = H2Frame::kEndStream,
                                 .stream = id,
                                 .payload = get_fields("/")}
                             .text();
      for (std::size_t i = 1; i <= pieces; ++i)
        text += H2Frame{.type = H2Frame::Continuation,
                        .flags = i == pieces ? H2Frame::kEndHeaders : std::uint8_t{0},
                        .stream = id,
                        .payload = field("x", "y")}
                    .text();
      return text;
    };
    rig.say(h2_preface() + block(1, 8));
    const bool served = co_await comes_true(loop, [&] { return rig.complete(1); });
    CHECK(served);
    rig.say(block(3, 9));
    const bool over = co_await comes_true(loop, [&] { return rig.over.has_value(); });
    CHECK(over);
    CHECK(rig.requests.size() == 1);
  });
}

TEST_CASE("a header list may be as long as announced, and a longer one is answered so", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    // :method GET, :scheme https, :path / and :authority a, as RFC 9113 10.5.1 counts them.
    constexpr std::size_t kPseudo = 7 + 3 + 7 + 5 + 5 + 1 + 10 + 1 + 4 * 32;
    const auto block = [&](std::uint32_t id, std::size_t size) {
      std::string list = get_fields("/");
      std::string text;
      for (std::size_t left = size - kPseudo; left > 0;) {
        const std::size_t value = left <= 8192 ? left - 33 : 4096;
        list += field("x", std::string(value, 'y'));
        left -= value + 33;
      }
      std::uint8_t type = H2Frame::Headers;
      while (!list.empty()) {
        const std::string piece = list.substr(0, 16'384);
        list.erase(0, piece.size());
        const int flags = (type == H2Frame::Headers ? H2Frame::kEndStream : 0) |
                          (list.empty() ? H2Frame::kEndHeaders : 0);
        text += H2Frame{.type = type,
                        .flags = static_cast<std::uint8_t>(flags),
                        .stream = id,
                        .payload = piece}
                    .text();
        type = H2Frame::Continuation;
      }
      return text;
    };
    rig.say(h2_preface() + block(1, http::RequestFields::kMost));
    const bool served = co_await comes_true(loop, [&] { return rig.complete(1); });
    CHECK(served);
    rig.say(block(3, http::RequestFields::kMost + 1));
    const bool refused = co_await comes_true(loop, [&] {
      return std::ranges::any_of(rig.heard(), [](const H2Frame& frame) {
        return frame.stream == 3 && frame.type == H2Frame::Headers && frame.payload.contains("431");
      });
    });
    CHECK(refused);
    CHECK(rig.requests.size() == 1);
  });
}

TEST_CASE("a client that takes nothing is given up after the stall", "[http2]") {
  SECTION("its connection is full") {
    visit(
        [](Loop& loop, H2Rig& rig) -> Task<void> {
          rig.wire->stuck = true;
          rig.say(h2_preface() + h2_get(1, "/big"));
          const bool over = co_await comes_true(loop, [&] { return rig.over.has_value(); });
          CHECK(over);
          CHECK(rig.over->code == Errc::Timeout);
        },
        50ms);
  }
  SECTION("its window is shut on an answer that nobody writes any more") {
    visit(
        [](Loop& loop, H2Rig& rig) -> Task<void> {
          // SETTINGS_INITIAL_WINDOW_SIZE 0.
          rig.say(h2_preface(std::string("\0\4\0\0\0\0", 6)) + h2_get(1));
          const bool reset =
              co_await comes_true(loop, [&] { return rig.count(H2Frame::Reset) == 1; });
          CHECK(reset);
          CHECK_FALSE(rig.over);
        },
        50ms);
  }
  SECTION("it begins a header block and never ends it") {
    visit(
        [](Loop& loop, H2Rig& rig) -> Task<void> {
          rig.say(h2_preface() + H2Frame{.type = H2Frame::Headers,
                                         .flags = H2Frame::kEndStream,
                                         .stream = 1,
                                         .payload = get_fields("/")}
                                     .text());
          const bool reset =
              co_await comes_true(loop, [&] { return rig.count(H2Frame::Reset) == 1; });
          CHECK(reset);
        },
        50ms);
  }
}

TEST_CASE("what is no HTTP/2 ends the connection", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const bool over = co_await comes_true(loop, [&] { return rig.over.has_value(); });
    CHECK(over);
    CHECK(rig.over->code == Errc::Protocol);
    CHECK(rig.goaway() == kProtocolError);
  });
}

TEST_CASE("servers are told when the connection breaks", "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say(h2_preface() + h2_get(1, "/wait") + h2_get(3, "/big"));
    const bool served = co_await comes_true(loop, [&] { return rig.requests.size() == 2; });
    CHECK(served);
    rig.leave();
    const bool home = co_await comes_true(loop, [&] { return rig.served == 0; });
    CHECK(home);
    CHECK(rig.over->code == Errc::Closed);
  });
}

TEST_CASE("a server whose client has shut the window is told when the connection breaks",
          "[http2]") {
  visit([](Loop& loop, H2Rig& rig) -> Task<void> {
    rig.say(h2_preface(std::string("\0\4\0\0\0\0", 6)) + h2_get(1, "/big") +
            H2Frame{.type = H2Frame::WindowUpdate, .stream = 1, .payload = be32(9000)}.text());
    const bool served = co_await comes_true(loop, [&] { return rig.body(1).size() == 9000; });
    CHECK(served);
    rig.leave();
    const bool home = co_await comes_true(loop, [&] { return rig.served == 0; }, kPatience / 3);
    CHECK(home);
  });
}
