// common/http/h2_session.h
// HTTP/2 (RFC 9113) in front of a server of HTTP/1.1: one connection whose every stream is served as
// if it were a connection of its own, by the same code, from the same cache.
//
//     TLS ─► H2Session (nghttp2) ─┬─► stream 1 ─► Socket ─► serve()
//                                 └─► stream 3 ─► Socket ─► serve()
//
// Frames are collected and sent at the end of a turn, up to kBatch with one write. A client's windows
// are honoured by nghttp2, and a server that writes faster waits at its stream's buffer as it would
// at the kernel's.
//
// Who opens streams only to reset them, or sends frames that cost us work and carry nothing (PING,
// SETTINGS, PRIORITY, refused streams), spends from kTrifles a burst and kTriflesPerSecond; beyond
// that the connection ends with ENHANCE_YOUR_CALM. A reset stream counts against the number of
// streams until its server has noticed, so resets gain nothing.
//
// Threading: one loop's. Bounds: kMostStreams, each with the buffers of H2Stream; kBatch; a
// connection without streams ends after kIdle, one that takes nothing after `stall`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/http/h2_stream.h"
#include "common/io/socket.h"
#include "common/listening.h"
#include "common/live_session.h"

struct nghttp2_session;

namespace weir::http {

class H2Session final : private Watcher, private TurnEnd, private Timer, private H2Streams {
 public:
  static constexpr std::size_t kMostStreams = 128;
  static constexpr std::size_t kBatch = 64 * 1024;
  static constexpr milliseconds kIdle{30'000};
  static constexpr double kTrifles = 200;
  static constexpr double kTriflesPerSecond = 20;

  H2Session(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket, Serve serve,
            milliseconds stall);
  ~H2Session();

  // Until the connection has ended, and why.
  Task<Error> run();

 private:
  struct Callbacks;  // nghttp2's

  void on_ready(std::uint32_t events) override;
  void turn_ended() override { pump(); }
  void expired() override;

  void submit(std::int32_t id, const Response& response) override;
  void resume(std::int32_t id) override;
  void reset(std::int32_t id) override;
  void consumed(std::int32_t id, std::size_t bytes) override;
  void notify(std::int32_t id, std::uint32_t events) override;

  void receive();
  void requested(H2Stream& asked, std::int32_t id, bool has_body);
  void pump();
  bool send();
  bool dispatch();
  void serve_new();
  void trifle();
  void look_around();
  // GOAWAY, then the end.
  void say_goodbye(std::uint32_t code, Error why);
  void end(Error why);
  H2Stream* stream(std::int32_t id);
  void went(std::int32_t id);

  Loop& loop_;
  const Address peer_;
  Socket::Released wire_;
  const std::shared_ptr<void> ticket_;
  const Serve serve_;
  const milliseconds stall_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, std::unique_ptr<H2Stream>> streams_;
  std::vector<std::int32_t> born_;                                         // to be served
  std::vector<std::unique_ptr<H2Stream>> gone_;                            // to be told, and let go
  std::vector<std::pair<std::int32_t, std::uint32_t>> news_;               // for watchers
  std::shared_ptr<std::size_t> alive_ = std::make_shared<std::size_t>(0);  // Sockets of streams
  ByteBuffer staged_;
  bool pumping_ = false;
  bool leaving_ = false;
  Error leave_why_{Errc::Closed, ""};
  double trifles_ = kTrifles;
  Clock::time_point trifled_;
  Clock::time_point progress_;  // when there was a stream, or the client last took something
  std::optional<Error> over_;
  Wait done_;
  LiveSession live_;
};

// Serves one client that has chosen "h2".
Task<void> serve_http2(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket, Serve serve,
                       milliseconds stall);

}  // namespace weir::http
