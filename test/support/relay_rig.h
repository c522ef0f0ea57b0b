// test/support/relay_rig.h
// The proxy's RTMP relay between scripted clients and scripted origins, all on one loop over loopback TCP.
#pragma once

#include <deque>

#include "proxy/rtmp_relay.h"
#include "test/support/router_to.h"
#include "test/support/rtmp_peers.h"

namespace weir::test {

// One origin. `script` runs for every client once that has asked to publish or play, and returning from it ends
// the connection.
class RtmpOrigin {
 public:
  using Script = std::function<Task<void>(Connection& client, const Words& asked)>;
  struct Visit {
    std::vector<Words> commands;  // before the request
    Words asked;                  // publish or play
    bool ended = false;
  };

  RtmpOrigin(Loop& loop, Script script, ServerHabits habits = {})
      : loop_(loop), script_(std::move(script)), habits_(std::move(habits)) {
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      if (small_buffers) keep_buffers_small(*socket, 64 * 1024);
      loop_.spawn(serve(std::move(socket), visits.emplace_back()));
    });
  }
  std::uint16_t port() const { return listener_->port(); }

  std::deque<Visit> visits;
  bool small_buffers = false;

 private:
  Task<void> serve(std::unique_ptr<Socket> socket, Visit& visit) {
    Connection client(std::move(socket), {.message = rtmp::kMediaMessageLimit});
    visit.asked = co_await serve_by_habit(client, habits_, visit.commands);
    if (!visit.asked.values.empty()) co_await script_(client, visit.asked);
    visit.ended = true;
  }

  Loop& loop_;
  Script script_;
  ServerHabits habits_;
  std::unique_ptr<Listener> listener_;
};

inline Words status(const Words& asked, const std::string& level, const std::string& code) {
  return {.values = {"onStatus", 0, nullptr, info(level, code, "so says the origin")},
          .stream_id = asked.stream_id};
}

// A script: gives this verdict, then reads until the client leaves.
inline RtmpOrigin::Script verdict(std::string level, std::string code) {
  return [=](Connection& client, const Words& asked) -> Task<void> {
    say(client, status(asked, level, code));
    auto sent = co_await client.flush(client.loop().in(kPatience));
    if (sent) co_await hear_the_end(client);
  };
}
inline RtmpOrigin::Script grants() { return verdict("status", "NetStream.Play.Start"); }

class RelayRig {
 public:
  // Origins are "o1", "o2"... The first gets every stream, the others only those that it does not serve.
  RelayRig(Loop& loop, const std::vector<std::uint16_t>& ports)
      : loop_(loop), routing(loop, router_to(Protocol::Rtmp, ports), registry_), resolver_(loop) {
    options.node_id = "this-node";
    options.limits.message = rtmp::kMediaMessageLimit;
    listener_ = listen_on(loop, [this](std::unique_ptr<Socket> socket) {
      if (small_buffers) keep_buffers_small(*socket, 64 * 1024);
      const RtmpRelayContext context{loop_, options, routing, resolver_, metrics};
      loop_.spawn(relay_rtmp(context, std::move(socket), admission));
    });
  }

  Task<std::unique_ptr<Connection>> connect() {
    auto socket = co_await dial(loop_, listener_->port());
    if (small_buffers) keep_buffers_small(*socket, 64 * 1024);
    co_return std::make_unique<Connection>(std::move(socket),
                                           rtmp::ReaderLimits{.message = rtmp::kMediaMessageLimit});
  }
  // A client that has asked, and waits for the verdict.
  Task<std::unique_ptr<Connection>> ask(rtmp::Request::Kind kind, std::string stream,
                                        Values connect_values = connect_arguments(),
                                        Values arguments = {},
                                        std::uint32_t chunk_size = rtmp::kOutChunkSize) {
    auto client = co_await connect();
    auto opened = co_await rtmp::open_stream(*client, std::move(connect_values), 2'500'000,
                                             loop_.in(kPatience), chunk_size);
    INVARIANT(opened, opened.error().text);
    if (kind == rtmp::Request::Kind::Play)
      rtmp::send_play(*client, *opened, stream, arguments);
    else
      rtmp::send_publish(*client, *opened, stream, arguments);
    auto sent = co_await client->flush(loop_.in(kPatience));
    INVARIANT(sent);
    co_return client;
  }
  Task<std::unique_ptr<Connection>> play(std::string stream) {
    return ask(rtmp::Request::Kind::Play, std::move(stream));
  }
  Task<std::unique_ptr<Connection>> publish(std::string stream) {
    return ask(rtmp::Request::Kind::Publish, std::move(stream));
  }

 private:
  Loop& loop_;
  Metrics registry_{"test"};

 public:
  RtmpRelayOptions options;  // to be changed before a client comes
  Routing routing;
  RtmpRelayMetrics metrics{registry_};
  std::shared_ptr<void> admission;
  bool small_buffers = false;

 private:
  Resolver resolver_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace weir::test
