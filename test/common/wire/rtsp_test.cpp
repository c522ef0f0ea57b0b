#include "common/wire/rtsp.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::rtsp;

namespace {

struct Heard {
  std::vector<Message> messages;
  std::string frames;
  int refused = 0;
};

Heard hear(std::string_view text, std::size_t piece, Limits limits = {}) {
  Heard heard;
  Reader reader(limits);
  ByteView stream = as_bytes(text);
  while (!stream.empty()) {
    ByteView input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    while (!input.empty()) {
      auto item = reader.next(input);
      if (!item) {
        heard.refused = item.error().status;
        return heard;
      }
      heard.frames += as_text(item->frames);
      if (item->message) heard.messages.push_back(*item->message);
    }
  }
  return heard;
}

Heard hear(std::string_view text, Limits limits = {}) { return hear(text, text.size(), limits); }

Message message(std::string_view text) {
  auto heard = hear(text);
  INFO(text);
  REQUIRE(heard.refused == 0);
  REQUIRE(heard.messages.size() == 1);
  return heard.messages.front();
}

int refused(std::string_view text, Limits limits = {}) { return hear(text, limits).refused; }

int refused_with(std::string_view lines) {
  return refused("OPTIONS * RTSP/1.0\r\n" + std::string(lines) + "\r\n\r\n");
}

std::string frame(std::string_view payload) {
  std::string text{'$', 0, static_cast<char>(payload.size() >> 8),
                   static_cast<char>(payload.size())};
  return text.append(payload);
}

std::string x(std::size_t count) { return std::string(count, 'x'); }

}  // namespace

TEST_CASE("requests and responses are read from one stream, with their bodies", "[rtsp]") {
  const auto heard = hear(
      "ANNOUNCE rtsp://a/live/b RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nv=0"
      "RTSP/2.0 401 No way \r\nCSeq:2\r\n\r\n"
      "RTSP/1.0 200\r\n\r\n");
  REQUIRE(heard.messages.size() == 3);
  CHECK(heard.messages[0] == Message{.method = "ANNOUNCE",
                                     .uri = "rtsp://a/live/b",
                                     .headers = {{"CSeq", "1"}, {"Content-Length", "3"}},
                                     .body = "v=0"});
  CHECK(heard.messages[1] ==
        Message{.status = 401, .reason = "No way ", .version = 2, .headers = {{"CSeq", "2"}}});
  CHECK(heard.messages[2] == Message{.status = 200});
}

TEST_CASE("frames and messages come out in their order, however they are cut", "[rtsp]") {
  const std::string text = frame("one") + frame("") + "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" +
                           frame(x(300)) + "\r\nRTSP/1.0 200 OK\r\n\r\n\r\n" + frame("two");
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const auto heard = hear(text, piece);
    INFO(piece);
    CHECK(heard.refused == 0);
    CHECK(heard.messages.size() == 2);
    CHECK(heard.frames == frame("one") + frame("") + frame(x(300)) + frame("two"));
  }
}

TEST_CASE("the reader knows when it is between two frames, and when nothing has begun", "[rtsp]") {
  Reader reader;
  const auto feed = [&reader](std::string_view text) {
    ByteView input = as_bytes(text);
    while (!input.empty()) REQUIRE(reader.next(input));
  };
  CHECK(reader.idle());
  feed("$");
  CHECK(!reader.between_frames());
  CHECK(!reader.idle());
  feed(std::string_view("\0\0\2a", 4));
  CHECK(!reader.between_frames());
  feed("b");
  CHECK(reader.idle());
  feed("OPT");
  CHECK(reader.between_frames());
  CHECK(!reader.idle());
}

TEST_CASE("a run of frames can be had one by one", "[rtsp]") {
  Reader reader;
  const std::string text = frame("one") + frame("") + frame("two");
  ByteView input = as_bytes(text).first(5);
  CHECK(reader.next_single(input)->frames.size() == 5);
  input = as_bytes(text).subspan(5);
  CHECK(reader.next_single(input)->frames.size() == 2);
  CHECK(reader.next_single(input)->frames.size() == 4);
  CHECK(reader.next_single(input)->frames.size() == 7);
  CHECK(input.empty());
}

TEST_CASE("a message is written as it was read", "[rtsp]") {
  for (const std::string_view text :
       {"SETUP rtsp://a/live/b/trackID=1 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP\r\n\r\n",
        "RTSP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"}) {
    std::string out;
    write(message(text), out);
    CHECK(out == text);
  }
}

TEST_CASE("a changed body changes Content-Length", "[rtsp]") {
  Message changed{.status = 200, .headers = {{"content-length", "7"}}, .body = "1234567"};
  set_body(changed, "12");
  CHECK(changed.headers == Headers{{"content-length", "2"}});
  set_body(changed, "");
  CHECK(changed.headers.empty());
}

TEST_CASE("an answer has its request's version and number", "[rtsp]") {
  const auto request = message("PLAY rtsp://a/b RTSP/2.0\r\ncseq: 9\r\nSession: 1\r\n\r\n");
  CHECK(answer_to(request, 461) == Message{.status = 461,
                                           .reason = "Unsupported Transport",
                                           .version = 2,
                                           .headers = {{"CSeq", "9"}}});
  CHECK(answer_to(Message{}, 400).version == 1);
}

TEST_CASE("malformed RTSP messages are refused", "[rtsp]") {
  CHECK(refused("OPTIONS\r\n") == 400);
  CHECK(refused("OPTIONS * RTSP/1.0\n") == 400);
  CHECK(refused("OPT(IONS * RTSP/1.0\r\n") == 400);
  CHECK(refused("OPTIONS  RTSP/1.0\r\n") == 400);
  CHECK(refused("OPTIONS a b RTSP/1.0\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\n") == 400);
  CHECK(refused("OPTIONS * RTSP/3.0\r\n") == 505);
  CHECK(refused("RTSP/1.0 20 OK\r\n") == 400);
  CHECK(refused("RTSP/1.0 2000 OK\r\n") == 400);
  CHECK(refused("RTSP/1.0 000 OK\r\n") == 400);
  CHECK(refused("\x16\x03\x01\r\n") == 400);
  CHECK(refused_with("CSeq : 1") == 400);
  CHECK(refused_with("CSeq") == 400);
  CHECK(refused_with("A: 1\r\n folded") == 400);
  CHECK(refused_with("Content-Length: -1") == 400);
  CHECK(refused_with("Content-Length: 1\r\nContent-Length: 2") == 400);
  CHECK(refused_with("Transfer-Encoding: chunked") == 400);
}

TEST_CASE("Content-Lengths that agree become one", "[rtsp]") {
  const auto one = message("A b RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx");
  CHECK(one.headers == Headers{{"Content-Length", "1"}});
}

TEST_CASE("a refused reader stays refused", "[rtsp]") {
  Reader reader;
  ByteView bad = as_bytes("no\r\n");
  CHECK(!reader.next(bad));
  ByteView good = as_bytes("OPTIONS * RTSP/1.0\r\n\r\n");
  CHECK(!reader.next(good));
}

TEST_CASE("each limit of an RTSP message holds at it and not past it", "[rtsp]") {
  const std::string start = "OPTIONS * RTSP/1.0\r\n";
  SECTION("first line") {
    const std::string line = "OPTIONS " + x(100) + " RTSP/1.0";
    CHECK(refused(line + "\r\n\r\n", {.line = line.size()}) == 0);
    CHECK(refused(line + "\r\n\r\n", {.line = line.size() - 1}) == 414);
  }
  SECTION("header line") {
    CHECK(refused(start + "A: " + x(97) + "\r\n\r\n", {.line = 100}) == 0);
    CHECK(refused(start + "A: " + x(98) + "\r\n\r\n", {.line = 100}) == 431);
  }
  SECTION("headers") {
    CHECK(refused(start + "A: 1\r\nB: 2\r\n\r\n", {.count = 2}) == 0);
    CHECK(refused(start + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", {.count = 2}) == 431);
  }
  SECTION("head") {
    const std::string head = start + "A: 1\r\n\r\n";
    CHECK(refused(head, {.head = head.size()}) == 0);
    CHECK(refused(head, {.head = head.size() - 1}) == 431);
  }
  SECTION("body") {
    CHECK(refused(start + "Content-Length: 10\r\n\r\n" + x(10), {.body = 10}) == 0);
    CHECK(refused(start + "Content-Length: 11\r\n\r\n", {.body = 10}) == 413);
  }
  SECTION("empty lines") {
    CHECK(refused("\r\n\r\n" + start + "\r\n", {.empty_lines = 2}) == 0);
    CHECK(refused("\r\n\r\n\r\n" + start + "\r\n", {.empty_lines = 2}) == 400);
  }
}

TEST_CASE("limits hold afresh for every message", "[rtsp]") {
  const std::string one = "\r\nOPTIONS * RTSP/1.0\r\nContent-Length: 5\r\n\r\n12345";
  const auto heard = hear(one + one + one, {.head = 43, .count = 1, .body = 5, .empty_lines = 1});
  CHECK(heard.refused == 0);
  CHECK(heard.messages.size() == 3);
}
