#include "proxy/webrtc_tcp.h"

namespace weir {

namespace {

constexpr std::size_t kLength = 2;  // RFC 4571: before each packet
constexpr milliseconds kStall{10'000};

}  // namespace

class WebrtcTcp::Path final : public WebrtcPath {
 public:
  Path(Context context, WebrtcEntryPtr entry, WebrtcTcp& connection)
      : WebrtcPath(context, std::move(entry), nullptr, connection.client_->peer()),
        connection_(connection) {}

 private:
  void deliver(ByteView packet) override {
    ByteBuffer& unsent = connection_.unsent_;
    if (unsent.size() + kLength + packet.size() > kMaxUnsent) return tallies().late.add();
    std::array<std::uint8_t, kLength> length{};
    store_be16(length.data(), static_cast<std::uint32_t>(packet.size()));
    append(unsent, length);
    append(unsent, packet);
    connection_.more_.notify();
  }

  WebrtcTcp& connection_;
};

WebrtcTcp::WebrtcTcp(WebrtcPort& port, std::unique_ptr<Socket> client, std::shared_ptr<void> ticket)
    : port_(port),
      client_(std::move(client)),
      ticket_(std::move(ticket)),
      began_(port.context_.loop.now()),
      more_(port.context_.loop),
      writer_(port.context_.loop) {}

WebrtcTcp::~WebrtcTcp() = default;

Task<void> WebrtcTcp::run() {
  writer_.start(write_packets());
  co_await read_packets();
  ended_ = true;
  path_.reset();
  client_->close();
  more_.notify();
  co_await writer_.join();
}

bool WebrtcTcp::over() const {
  const auto now = port_.context_.loop.now();
  return path_ != nullptr ? path_->over(now) : now - began_ > kFirstCheck;
}

Task<void> WebrtcTcp::read_packets() {
  Loop& loop = port_.context_.loop;
  ByteBuffer came;
  while (!over()) {
    auto got = co_await client_->read(loop.scratch().first(kMaxFrame), loop.in(WebrtcPort::kLook));
    if (!got && got.error().code == Errc::Timeout) continue;
    if (!got) co_return;
    append(came, loop.scratch().first(*got));
    std::size_t at = 0;
    while (came.size() - at >= kLength) {
      const std::size_t length = load_be16(came.data() + at);
      if (length > kMaxFrame) co_return;
      if (came.size() - at - kLength < length) break;
      std::string packet(as_text(ByteView(came).subspan(at + kLength, length)));
      at += kLength + length;
      auto taken = co_await take(std::move(packet));
      if (!taken) co_return;
    }
    came.erase(came.begin(), came.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

Task<bool> WebrtcTcp::take(std::string packet) {
  if (path_ != nullptr && path_->take(as_bytes(packet))) co_return true;
  auto entry = co_await port_.session_of(packet);
  if (entry == nullptr) co_return true;
  if (path_ != nullptr) {
    // One connection is one session's.
    if (path_->entry()->session.id != entry->session.id) co_return false;
    path_->adopt(std::move(entry));
  } else {
    path_ = std::make_unique<Path>(port_.paths(), std::move(entry), *this);
    auto opened = path_->open();
    if (!opened) co_return false;
  }
  path_->take_check(as_bytes(packet));
  co_return true;
}

Task<void> WebrtcTcp::write_packets() {
  Loop& loop = port_.context_.loop;
  while (!ended_) {
    if (unsent_.empty()) {
      auto news = co_await more_.wait(loop.in(kStall));
      if (!news && news.error().code != Errc::Timeout) co_return;
      continue;
    }
    const ByteBuffer bytes = std::exchange(unsent_, {});
    auto sent = co_await client_->write(bytes, loop.in(kStall));
    if (!sent) {
      client_->close();
      co_return;
    }
  }
}

}  // namespace weir
