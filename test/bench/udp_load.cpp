// Callers and their origin, one on each side of a relay of UDP: every caller introduces itself, then
// sends packets at a steady rate, which the origin counts. With --protocol=srt that is a handshake;
// with webrtc a signed STUN request as "originN:clientN", whose sessions somebody has announced to the relay.
//
// A caller sends at least --burst packets at once.
//
// The origin trusts everybody, so that it can stand behind a relay that knows nothing of either.
// Packets leave one by one, never joined by UDP GSO: that is how they come from real callers, each
// with its own pace. Prints one line of JSON.
#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <thread>
#include <vector>

#include "common/wire/srt.h"
#include "test/bench/arguments.h"
#include "test/bench/sockets.h"
#include "test/support/stun_messages.h"

namespace {

using namespace weir;
using namespace weir::bench;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;
constexpr std::uint8_t kRtp = 0x90;       // no type of SRT has that bit
constexpr int kBuffer = 64 << 20;         // what is lost here would be counted against the relay
constexpr std::uint32_t kFirstId = 1000;  // callers' socket ids; the origin's are twice these
constexpr const char* kPassword = "passwordpasswordpassword";
constexpr std::chrono::milliseconds kTick{1};

enum class Protocol { Srt, Webrtc };

int udp_socket() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  for (const int option : {SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE})
    setsockopt(fd, SOL_SOCKET, option, &kBuffer, sizeof kBuffer);
  return fd;
}

class Origin {
 public:
  explicit Origin(int port) : fd_(udp_socket()) {
    const sockaddr_in at = loopback(INADDR_LOOPBACK, port);
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("bind");
    for (std::size_t i = 0; i < kBatch; ++i) {
      slots_[i] = {packets_[i].data(), packets_[i].size()};
      messages_[i].msg_hdr.msg_iov = &slots_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_name = &senders_[i];
    }
  }

  // Takes all that waits.
  void take() {
    while (true) {
      for (auto& message : messages_) message.msg_hdr.msg_namelen = sizeof(sockaddr_in);
      const int count = recvmmsg(fd_, messages_.data(), kBatch, 0, nullptr);
      for (int i = 0; i < count; ++i) hear({packets_[i].data(), messages_[i].msg_len}, senders_[i]);
      if (count < static_cast<int>(kBatch)) return;
    }
  }

  // So that a relay sees both ends alive.
  void keep_alive() {
    for (const Caller& caller : callers_) {
      std::array<std::uint8_t, srt::kShutdownSize> packet = srt::shutdown_packet(caller.id);
      store_be16(packet.data(), 0x8001);
      send(packet, caller.address);
    }
  }

  std::uint64_t data = 0;
  std::uint64_t checks = 0;

 private:
  struct Caller {
    std::uint32_t id;
    sockaddr_in address;
  };

  void hear(ByteView packet, const sockaddr_in& from) {
    if (packet.size() < srt::kHeaderSize) return;
    if (stun::is_stun(packet)) {
      ++checks;
      return;
    }
    if (!srt::control_type(packet) || packet[0] == kRtp) ++data;
    auto asked = srt::parse_handshake(packet);
    if (!asked) return;
    srt::Handshake answer = *asked;
    answer.destination = asked->socket_id;
    answer.version = srt::kVersion5;
    answer.extensions = {};
    if (asked->type == srt::handshake_type::kInduction) {
      answer.extension = srt::kMagic;
      answer.cookie = 1;
    } else {
      answer.socket_id = 2 * asked->socket_id;
      callers_.push_back({asked->socket_id, from});
    }
    send(srt::write(answer), from);
  }
  void send(ByteView packet, const sockaddr_in& to) const {
    sendto(fd_, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }

  int fd_;
  std::vector<Caller> callers_;
  std::array<std::array<std::uint8_t, 2048>, kBatch> packets_;
  std::array<iovec, kBatch> slots_;
  std::array<sockaddr_in, kBatch> senders_;
  std::array<mmsghdr, kBatch> messages_{};
};

class Caller {
 public:
  Caller(std::uint32_t id, int port, Protocol protocol)
      : id_(id), protocol_(protocol), fd_(udp_socket()) {
    const sockaddr_in to = loopback(INADDR_LOOPBACK, port);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) die("connect");
  }

  void join(Origin& origin) {
    if (protocol_ == Protocol::Srt) return shake_hands(origin);
    const std::uint64_t before = origin.checks;
    for (int i = 0; origin.checks == before; ++i) {
      if (i == 500) die("a check did not arrive");
      if (i % 100 == 0) check();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      origin.take();
    }
  }

  // So that a relay sees this end alive, which has nobody to answer to.
  void keep_alive() const {
    if (protocol_ == Protocol::Webrtc) check();
  }

  // Sends `count` packets of `packet`, which may be shared: this caller's id is written into it.
  void send(ByteBuffer& packet, std::size_t count) {
    if (protocol_ == Protocol::Srt)
      store_be32(packet.data() + 12, 2 * id_);
    else
      packet[0] = kRtp;
    iovec bytes{packet.data(), packet.size()};
    std::array<mmsghdr, kBatch> messages{};
    for (auto& message : messages) {
      message.msg_hdr.msg_iov = &bytes;
      message.msg_hdr.msg_iovlen = 1;
    }
    while (count > 0) {
      const auto now = static_cast<unsigned>(std::min(count, kBatch));
      const int sent = sendmmsg(fd_, messages.data(), now, 0);
      if (sent <= 0) break;
      sent_ += static_cast<std::uint64_t>(sent);
      count -= static_cast<std::size_t>(sent);
    }
    std::array<std::uint8_t, 2048> unread;
    while (recv(fd_, unread.data(), unread.size(), 0) > 0) continue;
  }
  std::uint64_t sent() const { return sent_; }

 private:
  void check() const {
    const std::string number = std::to_string(id_ - kFirstId);
    const ByteBuffer request =
        test::stun_message({.username = "origin" + number + ":client" + number,
                            .password = kPassword,
                            .use_candidate = true});
    ::send(fd_, request.data(), request.size(), 0);
  }

  void shake_hands(Origin& origin) {
    srt::Handshake asked{.version = srt::kVersion4, .extension = srt::kDatagram, .socket_id = id_};
    asked.cookie = ask(origin, asked).cookie;
    ByteBuffer extensions;
    srt::append_stream_id(extensions, "#!::r=live/" + std::to_string(id_) + ",m=publish");
    asked.version = srt::kVersion5;
    asked.extension = 4;
    asked.type = srt::handshake_type::kConclusion;
    asked.extensions = extensions;
    if (ask(origin, asked).socket_id != 2 * id_) die("refused");
  }

  srt::Handshake ask(Origin& origin, const srt::Handshake& asked) {
    const ByteBuffer packet = srt::write(asked);
    for (int i = 0; i < 500; ++i) {
      if (i % 100 == 0) ::send(fd_, packet.data(), packet.size(), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      origin.take();
      const auto size = recv(fd_, answer_.data(), answer_.size(), 0);
      if (size < 0) continue;
      auto answer = srt::parse_handshake(ByteView(answer_.data(), static_cast<std::size_t>(size)));
      if (answer && answer->type == asked.type) return *answer;
    }
    die("no answer to a handshake");
  }

  std::uint32_t id_;
  Protocol protocol_;
  int fd_;
  std::uint64_t sent_ = 0;
  std::array<std::uint8_t, 2048> answer_;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv,
                            {{"protocol", "srt"},
                             {"port", "0"},
                             {"origin", "0"},
                             {"flows", "10"},
                             {"rate", "100000"},
                             {"size", "1200"},
                             {"burst", "1"},
                             {"warmup", "1"},
                             {"window", "3"}});
  const Protocol protocol =
      arguments.text("protocol") == "webrtc" ? Protocol::Webrtc : Protocol::Srt;
  Origin origin(arguments.integer("origin"));
  std::vector<Caller> callers;
  for (int i = 0; i < arguments.integer("flows"); ++i)
    callers.emplace_back(kFirstId + static_cast<std::uint32_t>(i), arguments.integer("port"),
                         protocol);
  for (Caller& caller : callers) caller.join(origin);

  ByteBuffer packet(static_cast<std::size_t>(arguments.integer("size")));
  const double rate = arguments.number("rate");
  const auto burst = static_cast<std::size_t>(arguments.integer("burst"));
  std::size_t turn = 0;
  const auto total = [&] {
    std::uint64_t sum = 0;
    for (const Caller& caller : callers) sum += caller.sent();
    return sum;
  };
  const auto run = [&](double seconds) {
    const auto began = Clock::now();
    const auto before = total();
    auto alive = began;
    while (true) {
      const auto now = Clock::now();
      const double elapsed = std::chrono::duration<double>(now - began).count();
      if (elapsed >= seconds) break;
      if (now - alive > std::chrono::seconds(1)) {
        origin.keep_alive();
        for (const Caller& caller : callers) caller.keep_alive();
        alive = now;
      }
      const auto due = static_cast<std::uint64_t>(elapsed * rate);
      // Each caller its share at once, as a picture's packets come.
      std::uint64_t missing = due - std::min(due, total() - before);
      missing -= missing % burst;
      const std::size_t share = std::max<std::size_t>(burst, missing / callers.size());
      for (std::uint64_t left = missing; left > 0; left -= std::min<std::uint64_t>(left, share))
        callers[turn++ % callers.size()].send(packet, std::min<std::uint64_t>(left, share));
      origin.take();
      std::this_thread::sleep_until(now + kTick);
    }
  };
  run(arguments.number("warmup"));
  std::puts("begin");
  std::fflush(stdout);
  const std::uint64_t sent = total();
  const std::uint64_t received = origin.data;
  run(arguments.number("window"));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  origin.take();
  std::puts("end");
  std::printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 "}\n", total() - sent,
              origin.data - received);
}
