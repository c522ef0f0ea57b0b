// test/support/stream_rig.h
// A stream and the viewers of its loop, without a network: what an edge is made of, on the test's thread.
#pragma once

#include <functional>
#include <string>

#include "common/io/wait.h"
#include "common/log.h"
#include "edge/stream.h"
#include "test/support/loop_fixture.h"
#include "test/support/media.h"

namespace weir::test {

// Runs the loop until `met`. False: it took longer than any test should.
template <class Condition>
Task<bool> until(Loop& loop, Condition met, milliseconds patience = milliseconds(10'000)) {
  const Deadline deadline = loop.in(patience);
  while (!met()) {
    if (loop.now() >= deadline) co_return false;
    auto slept = co_await sleep(loop, milliseconds(1));
    if (!slept) co_return false;
  }
  co_return true;
}

// co_await next_turn(loop): goes on when everything of this turn has been done.
class NextTurn final : private TurnEnd {
 public:
  explicit NextTurn(Loop& loop) : loop_(loop) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    loop_.at_turn_end(*this);
  }
  void await_resume() const {}

 private:
  // What is posted now belongs to the next turn.
  void turn_ended() override {
    loop_.post([waiter = waiter_] { waiter.resume(); });
  }

  Loop& loop_;
  std::coroutine_handle<> waiter_;
};
inline NextTurn next_turn(Loop& loop) { return NextTurn(loop); }

// The far end of a viewer's connection.
class Player {
 public:
  explicit Player(int fd) : fd_(fd) {}
  ~Player() { hang_up(); }
  Player(Player&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        ended_(other.ended_),
        received_(std::move(other.received_)) {}
  Player& operator=(Player&&) = delete;

  // Takes what is there, at most about `most` bytes; tells whether there was any.
  bool receive(std::size_t most = SIZE_MAX) {
    std::array<std::uint8_t, 65536> buffer;
    const std::size_t before = received_.size();
    while (received_.size() - before < most) {
      const ssize_t got = recv(fd_, buffer.data(), std::min(most, buffer.size()), MSG_DONTWAIT);
      if (got <= 0) {
        ended_ = ended_ || got == 0;
        break;
      }
      append(received_, ByteView(buffer).first(static_cast<std::size_t>(got)));
    }
    return received_.size() > before;
  }
  // For RTMP: one message of weir's own kind.
  void say(const rtmp::MessageHeader& header, ByteView payload) {
    ByteBuffer bytes;
    rtmp::ChunkWriter().append(bytes, header, payload);
    say(bytes);
  }
  void say(ByteView bytes) {
    INVARIANT(send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT) ==
              static_cast<ssize_t>(bytes.size()));
  }
  void command(std::initializer_list<amf0::Value> values) {
    say({.chunk_stream = 8, .stream_id = 1, .type = rtmp::Type::CommandAmf0},
        amf0::encode_all(values));
  }
  void hang_up() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  bool ended() const { return ended_; }
  const ByteBuffer& received() const { return received_; }

 private:
  int fd_;
  bool ended_ = false;
  ByteBuffer received_;
};

// A viewer's connection that ends in `player`.
inline Player connect_player(Loop& loop, std::unique_ptr<Socket>& server) {
  std::array<int, 2> fds{};
  INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
  server = std::make_unique<Socket>(loop, fds[0], Address{});
  return Player(fds[1]);
}

inline EdgeOptions standalone() {
  EdgeOptions options;
  options.node_id = "test";
  options.merge_window = milliseconds(0);
  return options;
}

struct StreamRig {
  explicit StreamRig(EdgeOptions given = standalone())
      : options(std::move(given)), window(options.merge_window, options.merge_max) {
    log::init(log::Level::Warn, log::Format::Text);
    for (const Format format : {Format::Rtmp, Format::Flv}) want(format);
  }

  void want(Format format) { stream.subscribe(0, 1, format); }

  // The Fanout has what the stream has by the end of this turn.
  void ingest(const Packet& packet) { stream.ingest(packet.tag()); }

  Player join(Format format) {
    Arrival arrival{.socket = nullptr,
                    .id = "viewer",
                    .reader = nullptr,
                    .unread = {},
                    .greeting = {},
                    .admission = nullptr};
    if (format == Format::Flv) arrival.greeting = flv_greeting();
    if (format == Format::Rtmp) {
      arrival.greeting = rtmp_greeting();
      arrival.reader = std::make_unique<rtmp::ChunkReader>();
    }
    if (is_websocket(format)) arrival.frames = std::make_unique<websocket::FrameReader>();
    Player player = connect_player(loop, arrival.socket);
    fanout.admit(format, std::move(arrival));
    return player;
  }

  std::uint64_t tally(Tally* EdgeMetrics::PerFormat::* which, Format format) {
    return (edge_metrics.of(format).*which)->value();
  }

  Loop loop;
  EdgeOptions options;
  Metrics metrics{"test"};
  EdgeMetrics edge_metrics{metrics};
  MergeWindow window;
  std::function<void(const StreamNews&)> on_news = [](const StreamNews&) {};
  Fanout fanout{{loop, options, edge_metrics, window}, "live/a", 1};
  Stream stream{loop, "live/a", options, edge_metrics, [this](int, std::uint64_t, StreamNews news) {
                  on_news(news);
                  fanout.hear(std::move(news));
                }};
};

}  // namespace weir::test
