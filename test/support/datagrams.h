// test/support/datagrams.h
// UDP ends for tests: each keeps what it gets.
#pragma once

#include <memory>
#include <string>
#include <vector>
#include <catch2/catch.hpp>

#include "common/io/gate.h"
#include "common/io/udp_socket.h"

namespace weir::test {

class Collector final : public UdpHandler {
 public:
  explicit Collector(Loop& loop) : news(loop) {}
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override {
    peer = from;
    packets.emplace_back(as_text(packet));
    if (echo != nullptr) echo->send(from, packet);
    if (doomed) doomed->reset();
    news.notify();
  }
  void refused() override {
    ++refusals;
    news.notify();
  }

  Gate news;
  UdpPeer peer;
  std::vector<std::string> packets;
  UdpSocket* echo = nullptr;
  std::unique_ptr<UdpSocket>* doomed = nullptr;
  int refusals = 0;
};

inline std::unique_ptr<UdpSocket> open_at(UdpBuffers& buffers, const char* host,
                                          Collector& handler) {
  auto fd = UdpSocket::open(*Address::parse(host, 0));
  REQUIRE(fd);
  return std::make_unique<UdpSocket>(buffers, *fd, handler);
}

inline std::unique_ptr<UdpSocket> connect_to(UdpBuffers& buffers, Address to, Collector& handler) {
  auto fd = UdpSocket::connect(to);
  REQUIRE(fd);
  return std::make_unique<UdpSocket>(buffers, *fd, handler);
}

inline Task<void> wait_for(Loop& loop, Collector& collector, std::size_t count) {
  while (collector.packets.size() < count) {
    auto news = co_await collector.news.wait(loop.in(std::chrono::seconds(5)));
    REQUIRE(news);
  }
}

inline Task<void> wait_for_refusal(Loop& loop, Collector& collector) {
  while (collector.refusals == 0) {
    auto news = co_await collector.news.wait(loop.in(std::chrono::seconds(5)));
    REQUIRE(news);
  }
}

}  // namespace weir::test
