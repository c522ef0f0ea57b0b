// test/proxy/http_relay_rig.h
// A relay between a client and scripted origins, all on one loop over real loopback sockets.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "common/http/client_connection.h"
#include "common/io/tls.h"
#include "proxy/http_relay.h"
#include "test/support/loopback.h"

namespace weir::test {

// Answers every request with what `answer` says, raw.
class HttpOrigin {
 public:
  enum class Then { Next, Close, Hold };  // after an answer; Hold: until the peer leaves
  using Answer = std::function<std::string(const http::Request&, const std::string& body)>;

  HttpOrigin(Loop& loop, Answer answer, Then then = Then::Next)
      : loop_(loop), answer_(std::move(answer)), then_(then), left(loop) {
    admission_.trust({.from = *CidrList::parse("loopback")});
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      ++connections;
      loop_.spawn(serve(std::move(socket)));
    });
  }
  std::uint16_t port() const { return listener_->port(); }

  std::optional<TlsContext> tls;  // what connections begin with
  int connections = 0;
  std::vector<http::Request> requests;
  std::vector<std::string> bodies;

 private:
  Task<void> serve(std::unique_ptr<Socket> socket) {
    if (tls) {
      auto agreed = co_await accept_tls(*socket, *tls, loop_.in(std::chrono::seconds(5)));
      if (!agreed) co_return left.notify();
    }
    http::ServerConnection peer(std::move(socket), {}, {}, &admission_);
    while (true) {
      auto request = co_await peer.read_request();
      if (!request) break;
      std::string body;
      while (true) {
        auto piece = co_await peer.read_body(loop_.in(std::chrono::seconds(5)));
        if (!piece) break;
        body += as_text(*piece);
      }
      requests.push_back(*request);
      bodies.push_back(body);
      auto sent = co_await peer.respond(answer_(*request, body));
      if (!sent || then_ == Then::Close) break;
      if (then_ == Then::Next) continue;
      while (true) {
        auto got = co_await peer.socket().read(loop_.scratch(), Deadline::max());
        if (!got) break;
      }
      break;
    }
    left.notify();
  }

  Loop& loop_;
  Admission admission_{0, 0};  // believes what the relay says of its clients
  Answer answer_;
  Then then_;
  std::unique_ptr<Listener> listener_;

 public:
  Gate left;  // notified when a connection has ended
};

// All that comes until the peer ends the connection.
inline Task<std::string> hear_all(Socket& socket) {
  Loop& loop = socket.loop();
  std::string heard;
  while (true) {
    auto got = co_await socket.read(loop.scratch(), loop.in(std::chrono::seconds(5)));
    if (!got) co_return heard;
    heard += as_text(loop.scratch().first(*got));
  }
}

class HttpRig {
 public:
  struct Origin {
    std::uint16_t port;
    std::uint32_t weight = 1;
  };

  HttpRig(Loop& loop, std::vector<Origin> origins, HttpRelayOptions options = {})
      : loop_(loop),
        routing_(loop, router_to(origins), metrics_),
        resolver_(loop),
        relay(loop, routing_, resolver_, std::move(options),
              {requests, failures, reused, bytes_to_clients, bytes_to_origins}) {
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      loop_.spawn(relay.serve(std::move(socket)));
    });
  }

  std::uint16_t port() const { return listener_->port(); }

  Task<std::unique_ptr<Socket>> connect() { return dial(loop_, listener_->port()); }

  // Sends the bytes and returns all that comes until the relay ends the connection.
  Task<std::string> talk(std::string raw) {
    auto socket = co_await connect();
    auto sent = co_await socket->write(as_bytes(raw), loop_.in(std::chrono::seconds(5)));
    INVARIANT(sent);
    auto heard = co_await hear_all(*socket);
    co_return heard;
  }

  // Reads until `mark` has come.
  Task<std::string> hear(Socket& socket, std::string mark) {
    std::string heard;
    while (heard.find(mark) == std::string::npos) {
      auto got = co_await socket.read(loop_.scratch(), loop_.in(std::chrono::seconds(5)));
      if (!got) co_return heard + "<end>";
      heard += as_text(loop_.scratch().first(*got));
    }
    co_return heard;
  }

 private:
  static Router router_to(const std::vector<Origin>& origins) {
    Router router;
    for (const auto& [port, weight] : origins) {
      Upstream upstream;
      upstream.id = "o" + std::to_string(port);
      upstream.weight = weight;
      upstream.at(Protocol::Http).push_back({"127.0.0.1", port});
      INVARIANT(router.configure(std::move(upstream)));
    }
    return router;
  }

  Loop& loop_;
  Metrics metrics_{"test"};
  Routing routing_;
  Resolver resolver_;
  std::unique_ptr<Listener> listener_;

 public:
  Tally requests, failures, reused, bytes_to_clients, bytes_to_origins;
  HttpRelay relay;
};

}  // namespace weir::test
