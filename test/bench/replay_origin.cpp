// test/bench/replay_origin.cpp
// An origin that does not merge: it plays one FLV file in a loop (test/bench/replay.h) as every stream that
// anybody asks for, over RTMP and as HTTP-FLV, one write per message at the message's time.
//
//     replay_origin --clip=FILE --rtmp=PORT --http=PORT [--start=gop|keyframe]
//
// A new player gets metadata and sequence headers, then with --start=gop everything since the newest keyframe
// in one burst, as origins with a GOP cache do; with --start=keyframe nothing until the next keyframe.
// GET /stats tells how many connections and players there are and ever were: a benchmark asserts upstream pulls
// with it. The clock of the stream starts with the process, so that all players see the same frames.
//
// Threading: one thread, epoll level-triggered. It ends with SIGTERM.

#include <memory>
#include <vector>

#include "test/bench/arguments.h"
#include "test/bench/replay.h"
#include "test/bench/rtmp_wire.h"
#include "test/bench/sockets.h"

namespace weir::bench {
namespace {

enum class Protocol { Rtmp, Http };

struct Connection {
  Connection(int descriptor, Protocol spoken) : fd(descriptor), protocol(spoken) {}

  const int fd;
  const Protocol protocol;
  Outbox outbox;
  ByteBuffer input;  // the handshake or the request, until it is complete
  ChunkReader reader;
  bool greeted = false, shaken = false, playing = false, waits_for_keyframe = false;
  bool watches_output = false, dead = false;
};

struct Counters {
  long rtmp_connections = 0, http_connections = 0, rtmp_plays = 0, flv_plays = 0;
  long playing = 0, dropped = 0;
  std::int64_t first_media_ns = 0;  // when the latest player was sent its first media
};

void append_tag(ByteBuffer& out, const MediaMessage& message) {
  std::uint8_t header[11] = {static_cast<std::uint8_t>(message.type)};
  store_be24(header + 1, static_cast<std::uint32_t>(message.payload.size()));
  store_be24(header + 4, message.timestamp_ms);
  header[7] = static_cast<std::uint8_t>(message.timestamp_ms >> 24);
  std::uint8_t trailer[4];
  store_be32(trailer, static_cast<std::uint32_t>(message.payload.size() + 11));
  append(out, header);
  append(out, message.payload);
  append(out, trailer);
}

class Origin {
 public:
  Origin(const Clip& clip, int rtmp_port, int http_port, bool gop_cache)
      : clip_(clip), replay_(clip, monotonic_ns()), gop_cache_(gop_cache) {
    rtmp_listener_ = listen_on(rtmp_port);
    http_listener_ = listen_on(http_port);
    watch(poller_, EPOLL_CTL_ADD, rtmp_listener_, EPOLLIN, &rtmp_listener_);
    watch(poller_, EPOLL_CTL_ADD, http_listener_, EPOLLIN, &http_listener_);
  }

  [[noreturn]] void run() {
    epoll_event events[256];
    for (;;) {
      // A few at a time: who is behind must not forget those who come.
      for (int i = 0; i < 8 && replay_.next_due_ns() <= monotonic_ns(); ++i)
        broadcast(replay_.take());
      const std::int64_t wait_ns =
          std::max<std::int64_t>(0, replay_.next_due_ns() - monotonic_ns());
      const timespec wait{0, static_cast<long>(std::min<std::int64_t>(wait_ns, 999'999'999))};
      const int n = epoll_pwait2(poller_, events, 256, &wait, nullptr);
      for (int i = 0; i < n; ++i) on_event(events[i]);
      std::erase_if(connections_, [](const auto& connection) { return connection->dead; });
    }
  }

 private:
  void on_event(const epoll_event& event) {
    if (event.data.ptr == &rtmp_listener_) return accept_all(rtmp_listener_, Protocol::Rtmp);
    if (event.data.ptr == &http_listener_) return accept_all(http_listener_, Protocol::Http);
    Connection& connection = *static_cast<Connection*>(event.data.ptr);
    if (connection.dead) return;
    if (event.events & EPOLLOUT && !connection.outbox.flush(connection.fd)) return end(connection);
    if (event.events & ~EPOLLOUT) read(connection);
    watch_output(connection);
  }

  void accept_all(int listener, Protocol protocol) {
    for (;;) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_.push_back(std::make_unique<Connection>(fd, protocol));
      watch(poller_, EPOLL_CTL_ADD, fd, EPOLLIN, connections_.back().get());
      ++(protocol == Protocol::Rtmp ? counters_.rtmp_connections : counters_.http_connections);
    }
  }

  void read(Connection& connection) {
    static std::uint8_t block[65536];
    const ssize_t n = recv(connection.fd, block, sizeof block, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(connection);
    const ByteView input(block, static_cast<std::size_t>(n));
    if (connection.shaken) return on_chunks(connection, input);
    append(connection.input, input);
    connection.protocol == Protocol::Rtmp ? handshake(connection) : on_request(connection);
  }

  // S0 S1 S2 as soon as C1 is there; the client's C2 is skipped.
  void handshake(Connection& connection) {
    constexpr std::size_t kHello = 1 + kHandshakeSize;
    ByteBuffer& input = connection.input;
    if (input.size() < kHello) return;
    if (!connection.greeted) {
      connection.greeted = true;
      ByteBuffer answer(kHello);
      answer[0] = 3;
      append(answer, ByteView(input).subspan(1, kHandshakeSize));
      send(connection, answer);
    }
    if (input.size() < kHello + kHandshakeSize) return;
    connection.shaken = true;
    on_chunks(connection, ByteView(input).subspan(kHello + kHandshakeSize));
    input = {};
  }

  void on_chunks(Connection& connection, ByteView input) {
    const bool readable = connection.reader.feed(input, [&](const rtmp::Message& message) {
      if (message.header.type == rtmp::Type::CommandAmf0 && !connection.dead)
        on_command(connection, CommandView(message.payload), message.header.stream_id);
    });
    if (!readable) end(connection);
  }

  void on_command(Connection& connection, const CommandView& command, std::uint32_t stream_id) {
    ByteBuffer out;
    if (command.name() == "connect") {
      write_control(out, rtmp::Type::WindowAckSize, 2'500'000);
      write_control(out, rtmp::Type::SetPeerBandwidth, 2'500'000);
      write_control(out, rtmp::Type::SetChunkSize, rtmp::kOutChunkSize);
      Command result("_result", command.transaction());
      result.object({{"fmsVer", "FMS/3,5,3,888"}})
          .object({{"level", "status"}, {"code", "NetConnection.Connect.Success"}});
      write_command(out, 0, result);
    } else if (command.name() == "createStream") {
      write_command(out, 0, Command("_result", command.transaction()).null().number(1));
    } else if (command.name() == "play") {
      write_event(out, rtmp::Event::StreamBegin, stream_id);
      write_status(out, stream_id, "NetStream.Play.Start");
      send(connection, out);
      return start_playing(connection);
    } else if (command.name() == "publish") {  // taken and thrown away
      write_status(out, stream_id, "NetStream.Publish.Start");
    } else if (command.transaction() > 0) {
      write_command(out, 0, Command("_result", command.transaction()).null());
    }
    send(connection, out);
  }

  static void write_status(ByteBuffer& out, std::uint32_t stream_id, std::string_view code) {
    Command status("onStatus", 0);
    status.null().object({{"level", "status"}, {"code", code}, {"description", "ok"}});
    write_command(out, stream_id, status);
  }

  void on_request(Connection& connection) {
    const std::string_view request = as_text(connection.input);
    if (!request.contains("\r\n\r\n")) return;
    const std::string_view path = request.substr(0, request.find(" HTTP/"));
    if (path.ends_with(".flv") || path.contains(".flv?")) {
      send(connection, as_bytes("HTTP/1.1 200 OK\r\nServer: replay_origin\r\nContent-Type: "
                                "video/x-flv\r\nConnection: close\r\n\r\n"));
      start_playing(connection);
    } else {
      const std::string body = path == "GET /stats" ? stats() : "{}\n";
      send(connection, as_bytes("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: "
                                "close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body));
    }
    connection.input.clear();
  }

  std::string stats() const {
    char text[512];
    std::snprintf(text, sizeof text,
                  "{\"rtmp_connections_ever\": %ld, \"http_connections_ever\": %ld, "
                  "\"rtmp_plays_ever\": %ld, \"flv_plays_ever\": %ld, \"plays_now\": %ld, "
                  "\"dropped_slow\": %ld, \"first_media_ns\": %lld}\n",
                  counters_.rtmp_connections, counters_.http_connections, counters_.rtmp_plays,
                  counters_.flv_plays, counters_.playing, counters_.dropped,
                  static_cast<long long>(counters_.first_media_ns));
    return text;
  }

  void start_playing(Connection& connection) {
    const bool rtmp = connection.protocol == Protocol::Rtmp;
    if (connection.dead || connection.playing) return;
    connection.playing = true;
    connection.waits_for_keyframe = !gop_cache_;
    ++counters_.playing;
    ++(rtmp ? counters_.rtmp_plays : counters_.flv_plays);

    ByteBuffer out;
    if (!rtmp) append(out, ByteBuffer{'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0});
    for (MediaMessage header : {clip_.metadata, clip_.video_header, clip_.audio_header}) {
      header.timestamp_ms = gop_start_ms_;
      if (!header.payload.empty()) serialise(header, connection.protocol, out);
    }
    send(connection, out);
    counters_.first_media_ns = monotonic_ns();
    if (gop_cache_) send(connection, rtmp ? gop_rtmp_ : gop_flv_);
  }

  static void serialise(const MediaMessage& message, Protocol protocol, ByteBuffer& out) {
    if (protocol == Protocol::Http) return append_tag(out, message);
    write_message(out, message.type, rtmp::kMediaStreamId, message.timestamp_ms, message.payload,
                  rtmp::kOutChunkSize);
  }

  void broadcast(const MediaMessage& message) {
    rtmp_.clear();
    flv_.clear();
    serialise(message, Protocol::Rtmp, rtmp_);
    serialise(message, Protocol::Http, flv_);
    if (message.keyframe) {
      gop_rtmp_.clear();
      gop_flv_.clear();
      gop_start_ms_ = message.timestamp_ms;
    }
    append(gop_rtmp_, rtmp_);
    append(gop_flv_, flv_);
    for (const auto& connection : connections_) {
      if (!connection->playing || connection->dead) continue;
      if (message.keyframe) connection->waits_for_keyframe = false;
      if (!connection->waits_for_keyframe)
        send(*connection, connection->protocol == Protocol::Rtmp ? rtmp_ : flv_);
    }
  }

  void send(Connection& connection, ByteView bytes) {
    if (connection.dead || bytes.empty()) return;
    if (!connection.outbox.send(connection.fd, bytes)) {
      if (connection.outbox.waiting()) ++counters_.dropped;
      return end(connection);
    }
    watch_output(connection);
  }

  void watch_output(Connection& connection) {
    if (connection.dead || connection.outbox.waiting() == connection.watches_output) return;
    connection.watches_output = !connection.watches_output;
    const std::uint32_t output = connection.watches_output ? std::uint32_t{EPOLLOUT} : 0;
    watch(poller_, EPOLL_CTL_MOD, connection.fd, EPOLLIN | output, &connection);
  }

  void end(Connection& connection) {
    if (connection.dead) return;
    connection.dead = true;
    counters_.playing -= connection.playing;
    close(connection.fd);
  }

  const Clip& clip_;
  Replay replay_;
  const bool gop_cache_;
  int poller_ = epoll_create1(EPOLL_CLOEXEC);
  int rtmp_listener_ = -1, http_listener_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  ByteBuffer rtmp_, flv_, gop_rtmp_, gop_flv_;
  std::uint32_t gop_start_ms_ = 0;
  Counters counters_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const Arguments arguments(argc, argv,
                            {{"clip", ""}, {"rtmp", "1935"}, {"http", "8080"}, {"start", "gop"}});
  const Clip clip = load_clip(arguments.text("clip"));
  Origin(clip, arguments.integer("rtmp"), arguments.integer("http"),
         arguments.text("start") == "gop")
      .run();
}
