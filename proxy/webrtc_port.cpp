#include "proxy/webrtc_port.h"

#include <algorithm>

#include "common/log.h"
#include "proxy/webrtc_tcp.h"

namespace weir {

namespace {

constexpr int kMaxLookUps = 256;  // under way on one loop

}  // namespace

class WebrtcPort::UdpPath final : public WebrtcPath {
 public:
  UdpPath(Context context, WebrtcEntryPtr entry, std::shared_ptr<void> ticket, UdpSocket& port,
          const UdpPeer& client, WebrtcDirectory& directory)
      : WebrtcPath(context, std::move(entry), std::move(ticket), client.address),
        port_(port),
        client_(client),
        directory_(directory) {}
  ~UdpPath() override { directory_.unbound(client_.address); }

 private:
  void deliver(ByteView packet) override { port_.send(client_, packet); }

  UdpSocket& port_;
  const UdpPeer client_;
  WebrtcDirectory& directory_;
};

WebrtcPort::WebrtcPort(Context context, int udp)
    : context_(context),
      tallies_(context_.metrics),
      udp_(context_.buffers, udp, *this),
      late_(context_.metrics.sample(Metrics::Type::Counter, "weir_webrtc_dropped_total",
                                    "WebRTC packets dropped, by why.", {{"reason", "full"}},
                                    [this] { return static_cast<double>(udp_.dropped()); })) {
  context_.loop.arm(*this, context_.loop.in(kLook));
}

WebrtcPort::~WebrtcPort() = default;

void WebrtcPort::received(const UdpPeer& from, std::span<std::uint8_t> packet) {
  const auto known = paths_.find(from.address);
  if (known != paths_.end() && known->second->take(packet)) return;
  if (webrtc_packet(packet) == WebrtcPacket::Stun)
    take_stun(from, packet);
  else
    take_media(from, packet);
}

void WebrtcPort::take_media(const UdpPeer& from, ByteView packet) {
  if (pass_on(from, packet)) return;
  tallies_.unbound.add();
  if (webrtc_packet(packet) != WebrtcPacket::Media || !accepting_) return;
  if (challenges_.waits_for(from.address)) return challenge(from, packet.size());
  const bool asks = looking_up_ < kMaxLookUps &&
                    context_.directory.may_look_up(from.address, context_.loop.now());
  if (asks) context_.loop.spawn(look_up_address(*this, from, packet.size()));
}

Task<void> WebrtcPort::look_up_address(WebrtcPort& port, UdpPeer from, std::size_t size) {
  ++port.looking_up_;
  auto entry = co_await port.context_.directory.look_up(port.context_.loop, from.address);
  --port.looking_up_;
  const auto now = port.context_.loop.now();
  if (entry == nullptr || port.paths_.contains(from.address)) co_return;
  if (port.challenges_.add(from.address, std::move(entry), now)) port.challenge(from, size);
}

void WebrtcPort::challenge(const UdpPeer& from, std::size_t size) {
  const ByteView packet = challenges_.heard(from.address, size, context_.loop.now());
  if (!packet.empty()) udp_.send(from, packet);
}

bool WebrtcPort::pass_on(const UdpPeer& from, ByteView packet) {
  return older_ != nullptr && older_->pass(PacketPass::Port::Webrtc, from, packet);
}

void WebrtcPort::take_stun(const UdpPeer& from, ByteView packet) {
  const auto message = stun::parse(packet);
  if (!message) return tallies_.malformed.add();
  if (!message->is_request()) {
    const auto proved = challenges_.answered(from.address, packet, *message);
    UdpPath* path = proved != nullptr ? open_path(from, proved) : nullptr;
    if (path != nullptr) return path->introduce();
    if (!pass_on(from, packet)) tallies_.unbound.add();
    return;
  }
  const auto entry = context_.directory.find(message->username);
  if (entry != nullptr) {
    if (!is_check_of(entry->session, packet, *message)) return tallies_.unsigned_.add();
    return bind(from, packet, entry);
  }
  const bool asks = accepting_ && looking_up_ < kMaxLookUps &&
                    context_.directory.may_look_up(message->username, context_.loop.now());
  if (!asks && pass_on(from, packet)) return;
  if (!asks) return tallies_.unbound.add();
  context_.loop.spawn(look_up(*this, from, std::string(as_text(packet))));
}

Task<void> WebrtcPort::look_up(WebrtcPort& port, UdpPeer from, std::string packet) {
  ++port.looking_up_;
  auto entry = co_await port.looked_up(packet);
  --port.looking_up_;
  if (entry != nullptr) port.bind(from, as_bytes(packet), entry);
}

Task<WebrtcEntryPtr> WebrtcPort::looked_up(std::string packet) {
  const auto message = stun::parse(as_bytes(packet));
  std::string username(message->username);
  auto entry = co_await context_.directory.look_up(context_.loop, std::move(username));
  if (entry == nullptr) {
    tallies_.unbound.add();
  } else if (!is_check_of(entry->session, as_bytes(packet), *message)) {
    tallies_.unsigned_.add();
    entry = nullptr;
  }
  co_return std::move(entry);
}

Task<WebrtcEntryPtr> WebrtcPort::session_of(std::string packet) {
  const auto message = stun::parse(as_bytes(packet));
  if (!message || !message->is_request()) {
    (message ? tallies_.unbound : tallies_.malformed).add();
    co_return nullptr;
  }
  auto entry = context_.directory.find(message->username);
  if (entry != nullptr) {
    if (is_check_of(entry->session, as_bytes(packet), *message)) co_return std::move(entry);
    tallies_.unsigned_.add();
    co_return nullptr;
  }
  if (!context_.directory.may_look_up(message->username, context_.loop.now())) {
    tallies_.unbound.add();
    co_return nullptr;
  }
  auto found = co_await looked_up(std::move(packet));
  co_return std::move(found);
}

void WebrtcPort::bind(const UdpPeer& from, ByteView check, const WebrtcEntryPtr& entry) {
  const auto known = paths_.find(from.address);
  if (known != paths_.end()) {
    if (known->second->entry()->session.id == entry->session.id) {
      known->second->adopt(entry);
      context_.loop.spawn(context_.directory.bound(from.address, entry));
      return known->second->take_check(check);
    }
    paths_.erase(known);  // a port that a NAT has given to somebody else
  }
  UdpPath* path = open_path(from, entry);
  if (path != nullptr) path->take_check(check);
}

// From here on the address is its session's.
WebrtcPort::UdpPath* WebrtcPort::open_path(const UdpPeer& from, const WebrtcEntryPtr& entry) {
  const bool welcome = accepting_ || entry->paths > 0;
  auto ticket = welcome && make_room(*entry) ? context_.admission.admit(from.address) : nullptr;
  if (ticket == nullptr) {
    tallies_.unbound.add();
    return nullptr;
  }
  auto path =
      std::make_unique<UdpPath>(paths(), entry, std::move(ticket), udp_, from, context_.directory);
  auto opened = path->open();
  if (!opened) {
    log::warn("no way to the origin of a WebRTC session", {{"stream", entry->session.stream},
                                                           {"upstream", entry->session.upstream},
                                                           {"error", opened.error().text}});
    return nullptr;
  }
  log::debug("WebRTC path", {{"peer", from.address.text()}, {"stream", entry->session.stream}});
  context_.loop.spawn(context_.directory.bound(from.address, entry));
  return paths_.insert_or_assign(from.address, std::move(path)).first->second.get();
}

// A client that changes its address often leaves paths behind: the oldest of them goes.
bool WebrtcPort::make_room(const WebrtcEntry& entry) {
  if (entry.paths < kMaxPaths) return true;
  auto oldest = paths_.end();
  for (auto at = paths_.begin(); at != paths_.end(); ++at) {
    if (at->second->entry().get() != &entry) continue;
    if (oldest == paths_.end() || at->second->checked() < oldest->second->checked()) oldest = at;
  }
  if (oldest == paths_.end()) return false;
  paths_.erase(oldest);
  return true;
}

Task<void> WebrtcPort::serve(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
  WebrtcTcp connection(*this, std::move(client), std::move(ticket));
  co_await connection.run();
}

void WebrtcPort::expired() {
  const auto now = context_.loop.now();
  std::erase_if(paths_, [now](const auto& each) { return each.second->over(now); });
  challenges_.forget_old(now);
  context_.loop.arm(*this, context_.loop.in(kLook));
}

}  // namespace weir
