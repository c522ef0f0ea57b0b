// test/edge/http_cache_rig.h
// A cache between a client and a scripted origin, all on one loop over real loopback sockets.
#pragma once

#include "edge/http_cache.h"
#include "test/proxy/http_relay_rig.h"

namespace weir::test {

class CacheRig {
 public:
  CacheRig(Loop& loop, std::uint16_t origin, HttpCacheOptions options = {},
           std::size_t memory = 1024 * 1024)
      : store(memory),
        tallies(metrics_),
        options_(std::move(options)),
        upstream_(loop, {{origin}}),
        cache_({loop, store, upstream_.relay, options_, tallies}),
        loop_(loop) {
    listener_ = listen(
        loop, [this](std::unique_ptr<Socket> socket) { loop_.spawn(serve(std::move(socket))); });
  }

  Task<std::unique_ptr<Socket>> connect() {
    const auto to = *Address::parse("127.0.0.1", listener_->port());
    auto socket = co_await Socket::connect(loop_, to, loop_.in(std::chrono::seconds(5)));
    INVARIANT(socket);
    co_return std::move(*socket);
  }

  // The whole response to one request on a connection of its own.
  Task<std::string> ask(std::string head) {
    auto socket = co_await connect();
    const std::string raw = head + "Host: a.org\r\nConnection: close\r\n\r\n";
    auto sent = co_await socket->write(as_bytes(raw), loop_.in(std::chrono::seconds(5)));
    INVARIANT(sent);
    std::string heard;
    while (true) {
      auto got = co_await socket->read(loop_.scratch(), loop_.in(std::chrono::seconds(5)));
      if (!got) co_return heard;
      heard += as_text(loop_.scratch().first(*got));
    }
  }
  Task<std::string> get(std::string path, std::string headers = "") {
    auto heard = co_await ask("GET " + path + " HTTP/1.1\r\n" + headers);
    co_return heard;
  }

 private:
  Metrics metrics_{"test"};

 public:
  HttpStore store;
  HttpCacheTallies tallies;

 private:
  Task<void> serve(std::unique_ptr<Socket> socket) {
    http::ServerConnection client(std::move(socket));
    while (true) {
      auto request = co_await client.read_request();
      if (!request) co_return;
      auto goes_on = co_await cache_.serve(client, std::move(*request));
      if (!goes_on) co_return;
    }
  }

  const HttpCacheOptions options_;
  HttpRig upstream_;
  HttpCache cache_;
  Loop& loop_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace weir::test
