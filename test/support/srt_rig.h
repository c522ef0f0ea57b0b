// test/support/srt_rig.h
// The proxy's SRT relay between hand-made callers and origins, all on one loop over loopback UDP.
#pragma once

#include <deque>

#include "common/stream_key.h"
#include "proxy/srt_relay.h"
#include "test/support/loopback.h"
#include "test/support/router_to.h"

namespace weir::test {

// One end: keeps what it hears.
class SrtEnd final : private UdpHandler {
 public:
  SrtEnd(UdpBuffers& buffers, int fd) : news(buffers.loop()), socket(buffers, fd, *this) {}

  Task<ByteBuffer> hear() {
    while (heard.empty()) {
      auto woken = co_await news.wait(Loop::current()->in(kPatience));
      INVARIANT(woken);
    }
    ByteBuffer packet = std::move(heard.front());
    heard.pop_front();
    co_return packet;
  }
  Task<srt::Handshake> hear_handshake() {
    last = co_await hear();
    auto handshake = srt::parse_handshake(last);
    INVARIANT(handshake);
    co_return *handshake;
  }
  void answer(ByteView packet) { socket.send(peer, packet); }

  Gate news;
  UdpSocket socket;
  UdpPeer peer;  // of what came last
  std::deque<ByteBuffer> heard;
  ByteBuffer last;

 private:
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override {
    peer = from;
    heard.emplace_back(packet.begin(), packet.end());
    news.notify();
  }
};

inline std::unique_ptr<SrtEnd> srt_listener(UdpBuffers& buffers) {
  auto fd = UdpSocket::open(*Address::parse("127.0.0.1", 0));
  INVARIANT(fd);
  return std::make_unique<SrtEnd>(buffers, *fd);
}

inline constexpr std::uint32_t kClientId = 0x1111;
inline constexpr std::uint32_t kOriginId = 0x2222;
inline constexpr std::uint32_t kOriginCookie = 0xc00c1e;

inline ByteBuffer srt_data(std::uint32_t destination, std::size_t size = 1332) {
  ByteBuffer packet(size, 0x47);
  packet[0] = 0;
  store_be32(packet.data() + 12, destination);
  return packet;
}

class SrtRig {
 public:
  // Origins are "o1", "o2"...: the first gets every stream, the others only those that it does not serve.
  SrtRig(Loop& loop, const std::vector<std::uint16_t>& ports, std::size_t per_address = 0)
      : loop_(loop),
        routing(loop, router_to(Protocol::Srt, ports), registry_),
        admission(0, per_address),
        resolver_(loop),
        buffers(loop) {
    auto fd = UdpSocket::open(*Address::parse("127.0.0.1", 0));
    INVARIANT(fd);
    at = Address::of_socket(*fd);
    options.dial.connect_timeout = milliseconds(300);
    relay = relay_at(*fd);
  }

  // Another, as another loop would have one.
  std::unique_ptr<SrtRelay> relay_at(int fd) {
    const SrtContext context{loop_, options, routing, resolver_, metrics, buffers, directory_};
    return std::make_unique<SrtRelay>(context, admission, cookies_, fd);
  }

  std::unique_ptr<SrtEnd> client() {
    auto fd = UdpSocket::connect(at);
    INVARIANT(fd);
    return std::make_unique<SrtEnd>(buffers, *fd);
  }

  static srt::Handshake induction(std::uint32_t id = kClientId) {
    return {.version = srt::kVersion4,
            .extension = srt::kDatagram,
            .initial_sequence = 77,
            .socket_id = id};
  }
  static ByteBuffer conclusion(std::uint32_t cookie, std::string_view streamid,
                               std::uint32_t id = kClientId) {
    ByteBuffer extensions = {0, 1, 0, 1, 9, 9, 9, 9};
    srt::append_stream_id(extensions, streamid);
    srt::Handshake handshake = induction(id);
    handshake.version = srt::kVersion5;
    handshake.extension = 5;
    handshake.type = srt::handshake_type::kConclusion;
    handshake.cookie = cookie;
    handshake.extensions = extensions;
    return srt::write(handshake);
  }

  // A client that has its cookie and asks for the stream with it. Gives what it sent.
  Task<ByteBuffer> ask(SrtEnd& client, std::string streamid = "#!::r=live/cam,m=publish",
                       std::uint32_t id = kClientId) {
    client.socket.send(srt::write(induction(id)));
    auto greeting = co_await client.hear_handshake();
    ByteBuffer sent = conclusion(greeting.cookie, streamid, id);
    client.socket.send(sent);
    co_return sent;
  }

  // An origin's part, up to the CONCLUSION, which it gives.
  Task<ByteBuffer> greet(SrtEnd& origin) {
    auto asked = co_await origin.hear_handshake();
    srt::Handshake answer = asked;
    answer.destination = asked.socket_id;
    answer.version = srt::kVersion5;
    answer.extension = srt::kMagic;
    answer.cookie = kOriginCookie;
    origin.answer(srt::write(answer));
    auto concluded = co_await origin.hear_handshake();
    INVARIANT(concluded.cookie == kOriginCookie);
    co_return origin.last;
  }
  static ByteBuffer verdict(std::uint32_t type, std::uint32_t client = kClientId) {
    srt::Handshake answer{.destination = client, .type = type, .socket_id = kOriginId};
    answer.peer.fill(0xee);
    return srt::write(answer);
  }

  // Client and origin, joined.
  Task<void> join(SrtEnd& client, SrtEnd& origin) {
    co_await ask(client);
    co_await greet(origin);
    origin.answer(verdict(srt::handshake_type::kConclusion));
    auto joined = co_await client.hear_handshake();
    INVARIANT(joined.socket_id == kOriginId);
  }

 private:
  Loop& loop_;
  Metrics registry_{"test"};
  SrtCookies cookies_;
  SrtDirectory directory_;

 public:
  SrtRelayOptions options;  // to be changed before a client comes
  Routing routing;
  SrtRelayMetrics metrics{registry_};
  Admission admission;

 private:
  Resolver resolver_;

 public:
  UdpBuffers buffers;
  Address at;
  std::unique_ptr<SrtRelay> relay;
};

}  // namespace weir::test
