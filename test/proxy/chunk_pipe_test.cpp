#include "proxy/chunk_pipe.h"

#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "test/common/wire/rtmp_chunk_peer.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

using rtmp::test::Got;
using rtmp::test::Peer;

constexpr rtmp::ReaderLimits kMedia{.message = rtmp::kMediaMessageLimit};
constexpr int kBuffer = 16 * 1024;

// sender ──► pipe ──► receiver
struct Line {
  explicit Line(Loop& on, milliseconds stall = kPatience, ByteView unread = {})
      : loop(on),
        in(socket_pair(on)),
        out(socket_pair(on)),
        pipe(*in[1], *out[0],
             rtmp::ChunkWalker(rtmp::ChunkReader(kMedia),
                               {.stream_id_from = 1, .stream_id_to = 7, .on_command = {}}),
             unread, stall, tally),
        running(on) {
    for (auto* socket : {in[0].get(), in[1].get(), out[0].get(), out[1].get()})
      keep_buffers_small(*socket, kBuffer);
  }
  void start() { running.start(run_pipe(pipe, ended)); }

  static Task<void> run_pipe(ChunkPipe& which, Error& how) { how = co_await which.run(); }

  Loop& loop;
  std::array<std::unique_ptr<Socket>, 2> in;
  std::array<std::unique_ptr<Socket>, 2> out;
  Tally tally;
  ChunkPipe pipe;
  Error ended;
  Child running;
};

Task<void> write_and_end(Socket& to, ByteBuffer bytes) {
  auto sent = co_await to.write(bytes, to.loop().in(kPatience));
  CHECK(sent);
  to.shut_down_writes();
}

Task<ByteBuffer> read_to_end(Socket& from) {
  ByteBuffer all;
  std::array<std::uint8_t, 1000> room;
  while (true) {
    auto got = co_await from.read(room, from.loop().in(kPatience));
    if (!got) co_return all;
    append(all, ByteView(room).first(*got));
  }
}

std::vector<Got> messages_in(const ByteBuffer& bytes) {
  rtmp::ChunkReader reader(kMedia);
  auto outcome = rtmp::test::read_all(reader, bytes);
  CHECK_FALSE(outcome.error);
  return outcome.messages;
}

std::vector<Got> on_stream_7(std::vector<Got> messages) {
  for (auto& message : messages)
    if (message.header.stream_id == 1) message.header.stream_id = 7;
  return messages;
}

Peer everything_said_by(unsigned seed, int steps) {
  Peer peer(seed);
  for (int i = 0; i < steps; ++i) peer.step();
  peer.finish_messages();
  return peer;
}

ByteBuffer one_large_message(std::size_t bytes) {
  ByteBuffer out;
  rtmp::ChunkWriter writer;
  writer.set_chunk_size(out, 60'000);
  writer.append(out, {.chunk_stream = 6, .stream_id = 1, .type = rtmp::Type::Video},
                ByteBuffer(bytes, 0x5a));
  return out;
}

}  // namespace

TEST_CASE("every form of chunk arrives as the same messages, on the other side's stream",
          "[chunk_pipe]") {
  const auto seed = GENERATE(range(1u, 9u));
  Loop loop;
  const Peer peer = everything_said_by(seed, 800);
  ByteBuffer heard;
  auto body = [](Loop& on, const Peer& said, ByteBuffer& all) -> Task<void> {
    Line line(on);
    line.start();
    Child writing(on);
    writing.start(write_and_end(*line.in[0], said.out));
    all = co_await read_to_end(*line.out[1]);
    co_await writing.join();
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Closed);
    CHECK(line.pipe.bytes() == all.size());
    CHECK(line.tally.value() == all.size());
  };
  run(loop, body(loop, peer, heard));
  CHECK(messages_in(heard) == on_stream_7(peer.sent));
}

TEST_CASE("headers may come byte by byte", "[chunk_pipe]") {
  Loop loop;
  const Peer peer = everything_said_by(3, 30);
  ByteBuffer heard;
  auto body = [](Loop& on, const Peer& said, ByteBuffer& all) -> Task<void> {
    Line line(on);
    line.start();
    auto drip = [](Socket& to, const ByteBuffer& bytes) -> Task<void> {
      for (const auto& byte : bytes) {
        auto sent = co_await to.write({&byte, 1}, to.loop().in(kPatience));
        CHECK(sent);
        co_await Turn{to.loop()};
      }
      to.shut_down_writes();
    };
    Child writing(on);
    writing.start(drip(*line.in[0], said.out));
    all = co_await read_to_end(*line.out[1]);
    co_await writing.join();
    co_await line.running.join();
  };
  run(loop, body(loop, peer, heard));
  CHECK(messages_in(heard) == on_stream_7(peer.sent));
}

TEST_CASE("what the set-up did not take goes first", "[chunk_pipe]") {
  Loop loop;
  const Peer peer = everything_said_by(5, 200);
  const std::size_t cut = GENERATE_COPY(0u, 1u, 13u, static_cast<unsigned>(peer.out.size()));
  ByteBuffer heard;
  auto body = [](Loop& on, const Peer& said, std::size_t at, ByteBuffer& all) -> Task<void> {
    Line line(on, kPatience, ByteView(said.out).first(at));
    line.start();
    Child writing(on);
    writing.start(write_and_end(
        *line.in[0],
        ByteBuffer(said.out.begin() + static_cast<std::ptrdiff_t>(at), said.out.end())));
    all = co_await read_to_end(*line.out[1]);
    co_await writing.join();
    co_await line.running.join();
  };
  run(loop, body(loop, peer, cut, heard));
  CHECK(messages_in(heard) == on_stream_7(peer.sent));
}

TEST_CASE("a receiver that pauses holds the sender back, and gets everything later",
          "[chunk_pipe]") {
  Loop loop;
  constexpr std::size_t kMuch = 4 << 20;
  ByteBuffer heard;
  auto body = [](Loop& on, ByteBuffer& all) -> Task<void> {
    Line line(on);
    line.start();
    const ByteBuffer flood = one_large_message(kMuch);
    std::size_t taken = 0;
    int idle = 0;
    while (idle < 20) {
      const iovec piece{.iov_base = const_cast<std::uint8_t*>(flood.data()) + taken,
                        .iov_len = 4096};
      auto sent = line.in[0]->try_write({&piece, 1});
      CHECK(sent);
      idle = *sent == 0 ? idle + 1 : 0;
      taken += *sent;
      co_await Turn{on};
    }
    // One receive of 64 KiB and what the kernel's four buffers take, with its book-keeping.
    CHECK(taken < 64 * 1024 + std::size_t{8} * kBuffer);
    Child writing(on);
    writing.start(write_and_end(
        *line.in[0], ByteBuffer(flood.begin() + static_cast<std::ptrdiff_t>(taken), flood.end())));
    all = co_await read_to_end(*line.out[1]);
    co_await writing.join();
    co_await line.running.join();
  };
  run(loop, body(loop, heard));
  const auto messages = messages_in(heard);
  REQUIRE(messages.size() == 2);
  CHECK(messages[1].payload == ByteBuffer(kMuch, 0x5a));
}

TEST_CASE("a receiver that takes nothing at all is given up", "[chunk_pipe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Line line(on, 30ms);
    line.start();
    Child writing(on);
    auto flood = [](Socket& to) -> Task<void> {
      const ByteBuffer bytes = one_large_message(1 << 20);
      auto sent = co_await to.write(bytes, to.loop().in(kPatience));
      CHECK(sent.error().code == Errc::Cancelled);
    };
    writing.start(flood(*line.in[0]));
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Timeout);
    line.in[0]->close();
    co_await writing.join();
  };
  run(loop, body(loop));
}

TEST_CASE("the sender's end is passed on as a half-close", "[chunk_pipe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Line line(on);
    line.start();
    line.in[0]->shut_down_writes();
    auto nothing = co_await read_to_end(*line.out[1]);
    CHECK(nothing.empty());
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Closed);
    // The other direction is somebody else's, and still open.
    auto sent = co_await line.out[1]->write(as_bytes("back"), on.in(kPatience));
    CHECK(sent);
    auto got = co_await line.out[0]->read(on.scratch(), on.in(kPatience));
    CHECK(got == 4u);
  };
  run(loop, body(loop));
}

TEST_CASE("a receiver that has gone ends the pipe with the next bytes", "[chunk_pipe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Line line(on);
    line.start();
    line.out[1]->close();
    const ByteBuffer bytes = one_large_message(1000);
    auto sent = co_await line.in[0]->write(bytes, on.in(kPatience));
    CHECK(sent);
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Reset);
  };
  run(loop, body(loop));
}

TEST_CASE("bytes that are no chunks end the pipe", "[chunk_pipe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Line line(on);
    line.start();
    // Type 3 on a chunk stream that has no message yet.
    const ByteBuffer bytes{0xC6, 1, 2, 3};
    auto sent = co_await line.in[0]->write(bytes, on.in(kPatience));
    CHECK(sent);
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Protocol);
  };
  run(loop, body(loop));
}

TEST_CASE("closing either socket ends a pipe that waits", "[chunk_pipe]") {
  const bool blocked = GENERATE(false, true);
  Loop loop;
  auto body = [](Loop& on, bool full) -> Task<void> {
    Line line(on);
    line.start();
    Child writing(on);
    auto flood = [](Socket& to) -> Task<void> {
      const ByteBuffer bytes = one_large_message(1 << 20);
      auto sent = co_await to.write(bytes, to.loop().in(kPatience));
      CHECK_FALSE(sent);
    };
    if (full) writing.start(flood(*line.in[0]));
    for (int i = 0; i < 20; ++i) co_await Turn{on};
    (full ? line.out[0] : line.in[1])->close();
    co_await line.running.join();
    CHECK(line.ended.code == Errc::Cancelled);
    line.in[0]->close();
    co_await writing.join();
  };
  run(loop, body(loop, blocked));
}

TEST_CASE("a sender that never runs dry gives way to the loop's other work", "[chunk_pipe]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    // Real TCP has the room: as much as the kernel takes waits at the pipe's entrance.
    std::vector<std::unique_ptr<Socket>> accepted;
    auto listener = listen_on(on, [&](auto socket) { accepted.push_back(std::move(socket)); });
    auto sender = co_await dial(on, listener->port());
    co_await comes_true(on, [&] { return accepted.size() == 1; });
    auto onward = co_await dial(on, listener->port());
    co_await comes_true(on, [&] { return accepted.size() == 2; });
    for (auto* socket : {sender.get(), accepted[0].get(), onward.get(), accepted[1].get()})
      keep_buffers_small(*socket, 4 << 20);
    const ByteBuffer flood = one_large_message(7 << 20);
    const iovec piece{.iov_base = const_cast<std::uint8_t*>(flood.data()), .iov_len = flood.size()};
    auto sent = sender->try_write({&piece, 1});
    CHECK(sent);
    for (int i = 0; i < 20; ++i) co_await Turn{on};
    Tally tally;
    ChunkPipe pipe(*accepted[0], *onward, rtmp::ChunkWalker(rtmp::ChunkReader(kMedia), {}), {},
                   kPatience, tally);
    Error ended;
    Child running(on);
    running.start(Line::run_pipe(pipe, ended));
    INFO("bytes waiting: " << *sent);
    CHECK(pipe.bytes() <= (1 << 20));
    for (auto* socket : {accepted[0].get(), onward.get()}) socket->close();
    co_await running.join();
  };
  run(loop, body(loop));
}
