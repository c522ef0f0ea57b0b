// The clients here block until something comes; nothing sleeps.
#include "proxy/live_events.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

#include <semaphore>
#include <catch2/catch.hpp>

namespace weir {
namespace {

using namespace std::chrono_literals;
using Poco::Net::StreamSocket;

const Poco::Timespan kPatience{20, 0};

// Both ends of a connection.
struct Pair {
  StreamSocket client;
  StreamSocket server;

  explicit Pair(int receive_buffer = 0) {
    Poco::Net::ServerSocket door{Poco::Net::SocketAddress{"127.0.0.1", 0}};
    if (receive_buffer > 0) {
      client = StreamSocket{Poco::Net::SocketAddress::IPv4};
      client.setReceiveBufferSize(receive_buffer);
    }
    client.connect(door.address());
    server = door.acceptConnection();
    client.setReceiveTimeout(kPatience);
  }
};

std::string read_until(StreamSocket& socket, const std::string& end) {
  std::string text;
  char byte = 0;
  while (!text.ends_with(end) && socket.receiveBytes(&byte, 1) == 1) text += byte;
  return text;
}

bool ended(StreamSocket& socket) {
  char bytes[4096];
  try {
    while (socket.receiveBytes(bytes, sizeof bytes) > 0) continue;
    return true;
  } catch (const Poco::TimeoutException&) {
    return false;
  } catch (const Poco::Exception&) {
    return true;
  }
}

bool comes(const std::function<bool()>& condition) {
  const auto deadline = LiveEvents::Clock::now() + 20s;
  while (!condition() && LiveEvents::Clock::now() < deadline) std::this_thread::yield();
  return condition();
}

LiveEvents::Handlers numbered(std::shared_ptr<std::atomic<int>> made) {
  return {.picture = [made]() -> Result<std::string> { return std::to_string(++*made); },
          .sample = [] {}};
}

}  // namespace

TEST_CASE("who watches is answered once, then shown a picture each period",
          "[live_events][threads]") {
  auto made = std::make_shared<std::atomic<int>>(0);
  LiveEvents events(numbered(made), {.period = 5ms});
  Pair one;
  events.take(one.server);
  const auto head = read_until(one.client, "\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  CHECK(read_until(one.client, "\n\n") == "data: 1\n\n");
  CHECK(read_until(one.client, "\n\n").starts_with("data: "));
  Pair other;
  events.take(other.server);
  read_until(other.client, "\r\n\r\n");
  CHECK(read_until(other.client, "\n\n").starts_with("data: "));
  CHECK(events.watchers() == 2);
}

TEST_CASE("what goes wrong with a picture is an event of its own", "[live_events][threads]") {
  LiveEvents events({.picture = []() -> Result<std::string> { return fail(Errc::Timeout, "late"); },
                     .sample = [] {}},
                    {.period = 5ms});
  Pair one;
  events.take(one.server);
  read_until(one.client, "\r\n\r\n");
  CHECK(read_until(one.client, "\n\n") == "event: trouble\ndata: late\n\n");
}

TEST_CASE("without a watcher samples are taken and no pictures made", "[live_events][threads]") {
  std::counting_semaphore<1000> sampled{0};
  std::atomic<int> pictures = 0;
  LiveEvents events({.picture = [&]() -> Result<std::string> { return std::to_string(++pictures); },
                     .sample = [&] { sampled.release(); }},
                    {.period = 1ms, .sampling = 1ms});
  for (int i = 0; i < 5; ++i) REQUIRE(sampled.try_acquire_for(20s));
  CHECK(pictures == 0);
}

TEST_CASE("as many may watch as there is room for, and one that left makes room",
          "[live_events][threads]") {
  LiveEvents events(numbered(std::make_shared<std::atomic<int>>(0)), {.most = 2, .period = 5ms});
  Pair first;
  Pair second;
  Pair third;
  events.take(first.server);
  CHECK(events.room());
  events.take(second.server);
  REQUIRE_FALSE(events.room());
  CHECK(events.room().error().code == Errc::Unavailable);
  events.take(third.server);
  third.server = StreamSocket{};
  CHECK(ended(third.client));
  first.client.close();
  CHECK(comes([&] { return events.room().has_value(); }));
}

TEST_CASE("a watcher that takes nothing is dropped, and one that says something",
          "[live_events][threads]") {
  const std::string large(8 << 20, 'x');
  LiveEvents events({.picture = [&]() -> Result<std::string> { return large; }, .sample = [] {}},
                    {.period = 5ms, .patience = 50ms});
  Pair slow(4096);
  events.take(slow.server);
  CHECK(comes([&] { return events.watchers() == 0; }));
  Pair talks;
  events.take(talks.server);
  talks.client.sendBytes("x", 1);
  CHECK(comes([&] { return events.watchers() == 0; }));
}

TEST_CASE("the end closes every connection", "[live_events][threads]") {
  Pair one;
  {
    LiveEvents events(numbered(std::make_shared<std::atomic<int>>(0)));
    events.take(one.server);
    one.server = StreamSocket{};
    read_until(one.client, "\n\n");
  }
  CHECK(ended(one.client));
}

}  // namespace weir
