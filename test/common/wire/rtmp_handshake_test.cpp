#include "common/wire/rtmp_handshake.h"

#include <string>
#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::rtmp;

namespace {

constexpr std::size_t kFirstFlight = 1 + kHandshakeSize;
constexpr HandshakeKind kKinds[] = {HandshakeKind::Plain, HandshakeKind::DigestFirst,
                                    HandshakeKind::DigestSecond};

ByteBuffer take(ByteBuffer& output) { return std::exchange(output, {}); }

// Feeds `bytes` in two pieces cut at `split`, and returns what the handshake left of them.
template <class Handshake>
std::size_t feed_split(Handshake& handshake, ByteView bytes, std::size_t split) {
  ByteView first = bytes.first(std::min(split, bytes.size()));
  const std::size_t second_size = bytes.size() - first.size();
  REQUIRE(handshake.feed(first).has_value());
  ByteView second = bytes.last(second_size);
  REQUIRE(handshake.feed(second).has_value());
  return first.size() + second.size();
}

ByteBuffer first_flight(HandshakeKind kind) {
  ClientHandshake client(kind);
  return take(client.output());
}

HandshakeKind kind_answered(ByteView c0c1) {
  ServerHandshake server;
  REQUIRE(server.feed(c0c1).has_value());
  return server.kind();
}

}  // namespace

TEST_CASE("client and server shake hands at every split", "[handshake]") {
  const std::string chunk = "the first chunk";
  for (HandshakeKind kind : kKinds) {
    // Every 7th split and the borders: each is a full handshake with its own randomness.
    for (std::size_t split = 0; split <= kFirstFlight + kHandshakeSize + chunk.size();
         split += split % kHandshakeSize < 3 ? 1 : 7) {
      ClientHandshake client(kind);
      ServerHandshake server;
      REQUIRE(client.output().size() == kFirstFlight);
      CHECK(feed_split(server, take(client.output()), split) == 0);
      CHECK_FALSE(server.done());
      CHECK(server.kind() == kind);
      REQUIRE(server.output().size() == kFirstFlight + kHandshakeSize);

      ByteBuffer answer = take(server.output());
      append(answer, as_bytes(chunk));
      CHECK(feed_split(client, answer, split) == chunk.size());
      CHECK(client.done());
      CHECK(client.digest_answered() == (kind != HandshakeKind::Plain));

      REQUIRE(client.output().size() == kHandshakeSize);
      CHECK(feed_split(server, take(client.output()), split) == 0);
      CHECK(server.done());
      CHECK(server.output().empty());
    }
  }
}

TEST_CASE("single bytes shake hands too", "[handshake]") {
  for (HandshakeKind kind : kKinds) {
    ClientHandshake client(kind);
    ServerHandshake server;
    while (!client.done() || !server.done()) {
      const ByteBuffer up = take(client.output());
      for (std::uint8_t byte : up) {
        ByteView input(&byte, 1);
        REQUIRE(server.feed(input).has_value());
        REQUIRE(input.empty());
      }
      const ByteBuffer down = take(server.output());
      for (std::uint8_t byte : down) {
        ByteView input(&byte, 1);
        REQUIRE(client.feed(input).has_value());
        REQUIRE(input.empty());
      }
      REQUIRE((!up.empty() || !down.empty()));
    }
    CHECK(server.kind() == kind);
  }
}

TEST_CASE("the server answers before C2, when C1 is whole and not before", "[handshake]") {
  const ByteBuffer bytes = first_flight(HandshakeKind::DigestFirst);
  ServerHandshake server;
  ByteView all_but_one = ByteView(bytes).first(bytes.size() - 1);
  REQUIRE(server.feed(all_but_one).has_value());
  CHECK(server.output().empty());
  ByteView last = ByteView(bytes).last(1);
  REQUIRE(server.feed(last).has_value());
  CHECK(server.output().size() == kFirstFlight + kHandshakeSize);
}

TEST_CASE("what follows the handshake stays in the input", "[handshake]") {
  ByteBuffer bytes = first_flight(HandshakeKind::Plain);
  bytes.resize(bytes.size() + kHandshakeSize, 7);
  append(bytes, as_bytes("chunk"));
  ServerHandshake server;
  ByteView input = bytes;
  REQUIRE(server.feed(input).has_value());
  CHECK(server.done());
  CHECK(as_text(input) == "chunk");
  REQUIRE(server.feed(input).has_value());
  CHECK(as_text(input) == "chunk");
}

TEST_CASE("a plain handshake echoes the peer's block", "[handshake]") {
  ClientHandshake client(HandshakeKind::Plain);
  const ByteBuffer c0c1 = take(client.output());
  CHECK(ByteBuffer(c0c1.begin() + 5, c0c1.begin() + 9) == ByteBuffer(4));
  ServerHandshake server;
  ByteView input = c0c1;
  REQUIRE(server.feed(input).has_value());
  const ByteBuffer answer = take(server.output());
  CHECK(answer[0] == 3);
  CHECK(ByteBuffer(answer.begin() + 5, answer.begin() + 9) == ByteBuffer(4));
  CHECK(ByteBuffer(answer.end() - kHandshakeSize, answer.end()) ==
        ByteBuffer(c0c1.begin() + 1, c0c1.end()));
  input = answer;
  REQUIRE(client.feed(input).has_value());
  CHECK(client.output() == ByteBuffer(answer.begin() + 1, answer.begin() + kFirstFlight));
}

TEST_CASE("a tampered digest falls back to plain on the server", "[handshake]") {
  for (HandshakeKind kind : {HandshakeKind::DigestFirst, HandshakeKind::DigestSecond}) {
    const ByteBuffer good = first_flight(kind);
    REQUIRE(kind_answered(good) == kind);
    for (std::size_t at = 1; at < good.size(); at += 97) {
      ByteBuffer bad = good;
      bad[at] ^= 1;
      CHECK(kind_answered(bad) == HandshakeKind::Plain);
    }
  }
}

TEST_CASE("a client that sent a digest takes a plain or tampered answer as plain", "[handshake]") {
  for (HandshakeKind answered : {HandshakeKind::Plain, HandshakeKind::DigestFirst}) {
    ClientHandshake client(HandshakeKind::DigestSecond);
    ServerHandshake server;
    const ByteBuffer c0c1 = first_flight(answered);
    ByteView input = c0c1;
    REQUIRE(server.feed(input).has_value());
    ByteBuffer answer = take(server.output());
    answer[100] ^= 1;
    input = answer;
    client.output().clear();
    REQUIRE(client.feed(input).has_value());
    CHECK(client.done());
    CHECK_FALSE(client.digest_answered());
    CHECK(client.output() == ByteBuffer(answer.begin() + 1, answer.begin() + kFirstFlight));
  }
}

TEST_CASE("any version but 3 is refused, RTMPE by name", "[handshake]") {
  for (int version = 0; version < 256; ++version) {
    const auto byte = static_cast<std::uint8_t>(version);
    ByteView up(&byte, 1);
    ByteView down(&byte, 1);
    ServerHandshake server;
    ClientHandshake client;
    auto served = server.feed(up);
    CHECK(served.has_value() == (version == 3));
    CHECK(client.feed(down).has_value() == (version == 3));
    if (!served) CHECK(served.error().code == Errc::Protocol);
    if (version == 6) CHECK(served.error().text == "RTMPE is not supported");
  }
}

TEST_CASE("no two first blocks are alike", "[handshake]") {
  for (HandshakeKind kind : kKinds) CHECK(first_flight(kind) != first_flight(kind));
}
