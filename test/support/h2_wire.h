// test/support/h2_wire.h
// A client of HTTP/2 in frames of its own making, good ones and bad ones, and a server of HTTP/1.1
// behind the H2Session that it talks to. No descriptor, no kernel: what is said is heard in the turn.
#pragma once

#include <fcntl.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/http/h2_session.h"
#include "test/support/loopback.h"

namespace weir::test {

struct H2Frame {
  enum Type : std::uint8_t {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    Goaway,
    WindowUpdate,
    Continuation
  };
  static constexpr std::uint8_t kEndStream = 1;  // and of PING and SETTINGS: the answer
  static constexpr std::uint8_t kEndHeaders = 4;

  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload{};

  std::string text() const {
    std::array<std::uint8_t, 9> head{0, 0, 0, type, flags};
    store_be24(head.data(), static_cast<std::uint32_t>(payload.size()));
    store_be32(head.data() + 5, stream);
    return std::string(as_text(head)) + payload;
  }
  // Of RST_STREAM, and of GOAWAY.
  std::uint32_t code() const {
    return load_be32(as_bytes(payload).data() + (type == Goaway ? 4 : 0));
  }
};

inline std::string be32(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  store_be32(bytes.data(), value);
  return std::string(as_text(bytes));
}

// The whole frames in `bytes`.
inline std::vector<H2Frame> frames_in(ByteView bytes) {
  std::vector<H2Frame> frames;
  while (bytes.size() >= 9) {
    const std::size_t length = load_be24(bytes.data());
    if (bytes.size() < 9 + length) break;
    frames.push_back({.type = bytes[3],
                      .flags = bytes[4],
                      .stream = load_be32(bytes.data() + 5),
                      .payload = std::string(as_text(bytes.subspan(9, length)))});
    bytes = bytes.subspan(9 + length);
  }
  return frames;
}

// With the client's SETTINGS.
inline std::string h2_preface(const std::string& settings = "") {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         H2Frame{.type = H2Frame::Settings, .payload = settings}.text();
}

// RFC 7541: a literal that is not indexed, its name new or from the static table.
inline std::string field(const std::string& name, const std::string& value) {
  const auto length = [](std::size_t size) {
    std::string text;
    if (size < 127) return std::string(1, static_cast<char>(size));
    text.push_back(127);
    for (size -= 127; size >= 128; size >>= 7)
      text.push_back(static_cast<char>((size & 127) | 128));
    return text + static_cast<char>(size);
  };
  return std::string(1, '\0') + length(name.size()) + name + length(value.size()) + value;
}

// :method GET, :scheme https.
inline std::string get_fields(const std::string& path, const std::string& authority = "a") {
  return "\x82\x87" + field(":path", path) + field(":authority", authority);
}

inline std::string h2_get(std::uint32_t stream, const std::string& path = "/") {
  return H2Frame{.type = H2Frame::Headers,
                 .flags = H2Frame::kEndStream | H2Frame::kEndHeaders,
                 .stream = stream,
                 .payload = get_fields(path)}
      .text();
}

inline std::string h2_reset(std::uint32_t stream) {
  return H2Frame{.type = H2Frame::Reset, .stream = stream, .payload = be32(8)}.text();
}

// What lies on the client's side of the session's transport.
struct H2Wire {
  ByteBuffer to_server;
  std::size_t read = 0;  // of it
  ByteBuffer to_client;
  std::size_t piece = 1 << 20;  // that one read gets at most
  bool ended = false;           // by the client
  bool stuck = false;           // the client takes no more
  bool closed = false;          // by the server
  Watcher* watcher = nullptr;
};

class H2WireEnd final : public Transport {
 public:
  explicit H2WireEnd(std::shared_ptr<H2Wire> wire) : wire_(std::move(wire)) {}

  Result<std::size_t> read(std::span<std::uint8_t> into) override {
    const ByteView rest = ByteView(wire_->to_server).subspan(wire_->read);
    if (rest.empty() && wire_->ended) return fail(Errc::Closed, "the client left");
    const std::size_t size = std::min({rest.size(), into.size(), wire_->piece});
    std::ranges::copy(rest.first(size), into.begin());
    wire_->read += size;
    return size;
  }
  Result<std::size_t> write(std::span<const iovec> pieces) override {
    std::size_t taken = 0;
    for (const iovec& each : pieces) {
      append(wire_->to_client, {static_cast<const std::uint8_t*>(each.iov_base), each.iov_len});
      taken += each.iov_len;
    }
    return taken;
  }
  bool holds() const override { return wire_->stuck; }
  void shut_down_writes() override {}
  void watch(Loop&, Watcher& watcher) override { wire_->watcher = &watcher; }
  void unwatch(Loop&, Watcher&) override { wire_->watcher = nullptr; }
  void close() override { wire_->closed = true; }

 private:
  const std::shared_ptr<H2Wire> wire_;
};

// A session and its client. Targets: /wait is never answered, /big is kBig bytes, /echo says the
// request's body, everything else is the target itself.
class H2Rig {
 public:
  static constexpr std::size_t kBig = 1'000'000;

  explicit H2Rig(Loop& loop, milliseconds stall = kPatience) : loop_(loop) {
    auto socket = std::make_unique<Socket>(loop, ::open("/dev/null", O_RDWR | O_CLOEXEC), Address{},
                                           std::make_unique<H2WireEnd>(wire));
    fd_ = socket->fd();
    loop.spawn(live(*this, std::move(socket), stall));
  }
  ~H2Rig() { ::close(fd_); }

  void say(const std::string& text) {
    append(wire->to_server, as_bytes(text));
    if (wire->watcher != nullptr) wire->watcher->on_ready(EPOLLIN);
  }
  void leave() {
    wire->ended = true;
    if (wire->watcher != nullptr) wire->watcher->on_ready(EPOLLIN | EPOLLRDHUP);
  }

  std::vector<H2Frame> heard() const { return frames_in(wire->to_client); }
  std::size_t count(std::uint8_t type, std::optional<std::uint32_t> code = std::nullopt) const {
    std::size_t found = 0;
    for (const auto& frame : heard())
      found += frame.type == type && (!code || frame.code() == *code);
    return found;
  }
  std::string body(std::uint32_t stream) const {
    std::string text;
    for (const auto& frame : heard())
      if (frame.type == H2Frame::Data && frame.stream == stream) text += frame.payload;
    return text;
  }
  // The last DATA has come.
  bool complete(std::uint32_t stream) const {
    for (const auto& frame : heard())
      if (frame.type == H2Frame::Data && frame.stream == stream &&
          (frame.flags & H2Frame::kEndStream) != 0)
        return true;
    return false;
  }
  // The code of GOAWAY; none: the session goes on.
  std::optional<std::uint32_t> goaway() const {
    for (const auto& frame : heard())
      if (frame.type == H2Frame::Goaway) return frame.code();
    return std::nullopt;
  }

  std::shared_ptr<H2Wire> wire = std::make_shared<H2Wire>();
  std::vector<std::string> requests{};  // as the server got them
  std::size_t served = 0;               // by servers that are there
  std::optional<Error> over{};

 private:
  static Task<void> live(H2Rig& rig, std::unique_ptr<Socket> socket, milliseconds stall) {
    Serve serve = [&rig](std::unique_ptr<Socket> client, std::shared_ptr<void>) {
      return answer(rig, std::move(client));
    };
    http::H2Session session(std::move(socket), nullptr, std::move(serve), stall);
    rig.over = co_await session.run();
  }

  static Task<void> answer(H2Rig& rig, std::unique_ptr<Socket> client) {
    ++rig.served;
    co_await answer_one(rig, *client);
    client->shut_down_writes();
    client.reset();
    --rig.served;
  }

  // The request once it is whole, without the framing of its body: how that is cut into chunks
  // follows how it came.
  static std::optional<std::string> whole(const std::string& text) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end == text.npos) return std::nullopt;
    http::RequestReader reader;
    ByteView rest = as_bytes(text);
    const auto head = reader.next(rest);
    if (!head || !*head) return text.substr(0, end);  // a real server refuses it
    std::string plain = text.substr(0, text.size() - rest.size());
    http::Body body(http::framing_of(**head));
    while (!body.ended()) {
      const auto content = body.next(rest);
      INVARIANT(content);
      if (content->empty() && !body.ended()) return std::nullopt;
      plain += as_text(*content);
    }
    return plain;
  }

  static Task<void> answer_one(H2Rig& rig, Socket& client) {
    Loop& loop = rig.loop_;
    std::string text;
    std::array<std::uint8_t, 700> piece{};
    std::optional<std::string> request;
    while (!request) {
      auto got = co_await client.read(piece, loop.in(kPatience));
      if (!got) co_return;
      text += as_text(ByteView(piece).first(*got));
      request = whole(text);
    }
    rig.requests.push_back(*request);
    const auto begin = text.find(' ') + 1;
    const std::string target = text.substr(begin, text.find(' ', begin) - begin);
    if (target == "/wait") {
      static_cast<void>(co_await client.read(piece, loop.in(kPatience)));
      co_return;
    }
    std::string body = target == "/big" ? std::string(kBig, 'x') : target;
    if (target == "/echo") body = text.substr(text.find("\r\n\r\n") + 4);
    const std::string reply =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
    static_cast<void>(co_await client.write(as_bytes(reply), loop.in(kPatience)));
  }

  Loop& loop_;
  int fd_;
};

}  // namespace weir::test
