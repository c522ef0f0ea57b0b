// test/proxy/rtsp_relay_rig.h
// The proxy's RTSP relay between a client and scripted origins, all on one loop over loopback TCP.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "proxy/rtsp_relay.h"
#include "test/support/loopback.h"
#include "test/support/router_to.h"

namespace weir::test {

inline std::string interleaved(std::string_view payload, char channel = 0) {
  std::string text{'$', channel, static_cast<char>(payload.size() >> 8),
                   static_cast<char>(payload.size())};
  return text.append(payload);
}

// What an RTSP peer says, and what it hears.
class RtspPeer {
 public:
  explicit RtspPeer(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}

  Socket& socket() { return *socket_; }
  Loop& loop() { return socket_->loop(); }

  Task<void> say(std::string text) {
    auto sent = co_await socket_->write(as_bytes(text), loop().in(kPatience));
    INVARIANT(sent, sent.error().text);
  }

  // The next message; status 0 and no method at the end of the connection. Frames on the way are
  // kept in `frames`.
  Task<rtsp::Message> hear() {
    while (true) {
      ByteView input = buffer_;
      auto item = reader_.next(input);
      INVARIANT(item, item.error().text);
      frames += as_text(item->frames);
      buffer_ = ByteBuffer(input.begin(), input.end());
      if (item->message) co_return std::move(*item->message);
      if (!buffer_.empty()) continue;
      auto came = co_await receive();
      if (!came) co_return rtsp::Message{};
    }
  }
  Task<void> hear_frames(std::size_t size) {
    while (frames.size() < size) {
      ByteView input = buffer_;
      auto item = reader_.next(input);
      INVARIANT(item && !item->message);
      frames += as_text(item->frames);
      buffer_ = ByteBuffer(input.begin(), input.end());
      if (!buffer_.empty() || frames.size() >= size) continue;
      auto came = co_await receive();
      INVARIANT(came);
    }
  }
  Task<rtsp::Message> ask(std::string text) {
    co_await say(std::move(text));
    auto answer = co_await hear();
    co_return std::move(answer);
  }

  std::string frames;

 private:
  Task<bool> receive() {
    auto got = co_await socket_->read(loop().scratch(), loop().in(kPatience));
    INVARIANT(got || got.error().code != Errc::Timeout);
    if (!got) co_return false;
    const auto bytes = loop().scratch().first(*got);
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    co_return true;
  }

  std::unique_ptr<Socket> socket_;
  rtsp::Reader reader_;
  ByteBuffer buffer_;
};

// Answers each request with what `answer` says, raw; nothing: stays silent. "close" hangs up.
class RtspOrigin {
 public:
  using Answer = std::function<std::string(const rtsp::Message&)>;

  RtspOrigin(Loop& loop, Answer answer) : loop_(loop), answer_(std::move(answer)) {
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      ++connections;
      loop_.spawn(serve(visits.emplace_back(std::move(socket))));
    });
  }
  std::uint16_t port() const { return listener_->port(); }

  std::vector<std::string> methods() const {
    std::vector<std::string> names;
    for (const auto& message : heard)
      names.push_back(message.is_request() ? message.method : std::to_string(message.status));
    return names;
  }

  int connections = 0;
  int ended = 0;
  std::deque<RtspPeer> visits;
  std::vector<rtsp::Message> heard;

 private:
  Task<void> serve(RtspPeer& peer) {
    while (true) {
      auto message = co_await peer.hear();
      if (!message.is_request() && message.status == 0) break;
      heard.push_back(message);
      if (!message.is_request()) continue;
      const std::string answer = answer_(message);
      if (answer == "close") break;
      co_await peer.say(answer);
    }
    ++ended;
    peer.socket().close();
  }

  Loop& loop_;
  Answer answer_;
  std::unique_ptr<Listener> listener_;
};

inline std::string reply(const rtsp::Message& to, int status, const std::string& headers = {},
                         const std::string& body = {}) {
  rtsp::Message answer = rtsp::answer_to(to, status);
  rtsp::set_body(answer, body);
  std::string text;
  rtsp::write(answer, text);
  return text.insert(text.find("\r\n") + 2, headers);
}

// Has every stream: describes, sets up and plays.
inline std::string grants(const rtsp::Message& request) {
  if (request.method == "DESCRIBE")
    return reply(request, 200, "Content-Type: application/sdp\r\n", "v=0\r\n");
  return reply(request, 200, "Session: 1\r\n");
}

class RtspRig {
 public:
  // Origins are "o1", "o2"... The first gets every stream, the others only those that it does not
  // serve.
  RtspRig(Loop& loop, const std::vector<std::uint16_t>& ports)
      : loop_(loop), routing(loop, router_to(Protocol::Rtsp, ports), registry), resolver_(loop) {
    options.node_id = "this-node";
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      if (small_buffers) keep_buffers_small(*socket);
      const RtspRelayContext context{loop_, options, routing, resolver_, metrics};
      loop_.spawn(relay_rtsp(context, std::move(socket), nullptr));
    });
  }

  Task<std::unique_ptr<RtspPeer>> connect() {
    auto socket = co_await dial(loop_, listener_->port());
    if (small_buffers) keep_buffers_small(*socket);
    co_return std::make_unique<RtspPeer>(std::move(socket));
  }

  // A client whose media is set up, with three requests made.
  Task<std::unique_ptr<RtspPeer>> play(std::string first = "DESCRIBE") {
    auto client = co_await connect();
    auto described = co_await client->ask(request(first, 1));
    INVARIANT(described.status == 200, described.status);
    auto set_up = co_await client->ask(request("SETUP", 2, "Transport: RTP/AVP/TCP\r\n"));
    INVARIANT(set_up.status == 200, set_up.status);
    auto played = co_await client->ask(request(first == "DESCRIBE" ? "PLAY" : "RECORD", 3));
    INVARIANT(played.status == 200, played.status);
    co_return std::move(client);
  }

  static std::string request(const std::string& method, int number, const std::string& headers = {},
                             const std::string& uri = "rtsp://proxy:554/live/cam") {
    return method + " " + uri + " RTSP/1.0\r\nCSeq: " + std::to_string(number) + "\r\n" + headers +
           "\r\n";
  }

 private:
  Loop& loop_;

 public:
  Metrics registry{"test"};
  RtspRelayOptions options;  // to be changed before a client comes
  Routing routing;
  RtspRelayMetrics metrics{registry};
  bool small_buffers = false;

 private:
  Resolver resolver_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace weir::test
