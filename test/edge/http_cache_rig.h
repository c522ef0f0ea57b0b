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
      : CacheRig(loop, std::vector<HttpRig::Origin>{{origin}}, std::move(options), memory) {}
  CacheRig(Loop& loop, std::vector<HttpRig::Origin> origins, HttpCacheOptions options,
           std::size_t memory, HttpRelayOptions relay = {})
      : store(memory),
        tallies(metrics_),
        options_(std::move(options)),
        upstream_(loop, std::move(origins), std::move(relay)),
        cache_({loop, store, upstream_.relay, options_, tallies}),
        loop_(loop) {
    listener_ = listen_on(
        loop, [this](std::unique_ptr<Socket> socket) { loop_.spawn(serve(std::move(socket))); });
  }

  Task<std::unique_ptr<Socket>> connect() { return dial(loop_, listener_->port()); }

  // The whole response to one request on a connection of its own.
  Task<std::string> ask(std::string head) {
    auto socket = co_await connect();
    const std::string raw = head + "Host: a.org\r\nConnection: close\r\n\r\n";
    auto sent = co_await socket->write(as_bytes(raw), loop_.in(std::chrono::seconds(5)));
    INVARIANT(sent);
    auto heard = co_await hear_all(*socket);
    co_return heard;
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
