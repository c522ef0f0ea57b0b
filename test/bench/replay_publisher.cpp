// test/bench/replay_publisher.cpp
// Publishes one FLV file in a loop (test/bench/replay.h) over RTMP, unmerged, as one stream or as many.
//
//     replay_publisher --clip=FILE --port=PORT [--app=live] [--stream=bench] [--streams=1]
//
// With --streams=N the names are bench0, bench1, ... and all carry the same frames. It prints "publishing" once
// every server has agreed, and ends with status 1 when one refuses or leaves.

#include <memory>
#include <vector>

#include "test/bench/arguments.h"
#include "test/bench/replay.h"
#include "test/bench/rtmp_client.h"
#include "test/bench/sockets.h"

namespace weir::bench {
namespace {

struct Publisher {
  RtmpClient::Target target;
  RtmpClient client{target};
  Outbox outbox;
  int fd = -1;
  bool started = false, media = false;

  explicit Publisher(RtmpClient::Target where) : target(std::move(where)) {}

  void send(ByteView bytes) {
    if (!bytes.empty() && !outbox.send(fd, bytes)) die("the server left or reads too slowly");
  }

  void on_event(std::uint32_t events) {
    ByteBuffer out;
    if (!started && events & EPOLLOUT) {
      started = true;
      client.start(out);
    }
    if (!outbox.flush(fd)) die("send");
    if (events & EPOLLIN) {
      std::uint8_t block[16384];
      const ssize_t n = recv(fd, block, sizeof block, 0);
      if (n < 0 && errno != EAGAIN) die("recv");
      const ByteView input(block, n < 0 ? 0 : static_cast<std::size_t>(n));
      if (n == 0 || !client.feed(input, out, [](rtmp::Type, ByteView) {})) die("refused");
    }
    send(out);
  }

  void publish(const MediaMessage& message) {
    ByteBuffer out;
    write_message(out, message.type, client.stream_id(), message.timestamp_ms, message.payload,
                  rtmp::kOutChunkSize);
    send(out);
  }
};

[[noreturn]] void run(const Clip& clip, std::vector<std::unique_ptr<Publisher>> publishers,
                      int port) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (auto& publisher : publishers) {
    publisher->fd = connect_from(INADDR_LOOPBACK, port);
    if (publisher->fd < 0) die("connect");
    watch(poller, EPOLL_CTL_ADD, publisher->fd, EPOLLIN | EPOLLOUT | EPOLLET, publisher.get());
  }
  Replay replay(clip, monotonic_ns());
  bool told = false;
  for (;;) {
    while (replay.next_due_ns() <= monotonic_ns()) {
      const MediaMessage& message = replay.take();
      for (auto& publisher : publishers) {
        if (!publisher->media && message.keyframe && publisher->client.streaming()) {
          publisher->media = true;
          for (MediaMessage header : {clip.metadata, clip.video_header, clip.audio_header}) {
            header.timestamp_ms = message.timestamp_ms;
            if (!header.payload.empty()) publisher->publish(header);
          }
        }
        if (publisher->media) publisher->publish(message);
      }
    }
    if (!told && std::ranges::all_of(publishers, [](auto& p) { return p->media; })) {
      told = true;
      std::puts("publishing");
      std::fflush(stdout);
    }
    const std::int64_t wait_ns = std::max<std::int64_t>(0, replay.next_due_ns() - monotonic_ns());
    const timespec wait{0, static_cast<long>(std::min<std::int64_t>(wait_ns, 999'999'999))};
    epoll_event events[64];
    const int n = epoll_pwait2(poller, events, 64, &wait, nullptr);
    for (int i = 0; i < n; ++i)
      static_cast<Publisher*>(events[i].data.ptr)->on_event(events[i].events);
  }
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const Arguments arguments(
      argc, argv,
      {{"clip", ""}, {"port", "1935"}, {"app", "live"}, {"stream", "bench"}, {"streams", "1"}});
  const Clip clip = load_clip(arguments.text("clip"));
  std::vector<std::unique_ptr<Publisher>> publishers;
  const int count = arguments.integer("streams");
  for (int i = 0; i < count; ++i)
    publishers.push_back(std::make_unique<Publisher>(RtmpClient::Target{
        "rtmp://127.0.0.1:" + arguments.text("port") + "/" + arguments.text("app"),
        arguments.text("app"), arguments.text("stream") + (count > 1 ? std::to_string(i) : ""),
        true}));
  run(clip, std::move(publishers), arguments.integer("port"));
}
