#include "proxy/webrtc_path.h"

#include "common/log.h"
#include "proxy/relay_metrics.h"
#include "proxy/webrtc_challenges.h"

namespace weir {

namespace {

// A client sends a check every 50 ms at first (RFC 8445 14.2); so an origin's address is given up
// for the next one after about a fifth of a second.
constexpr int kChecksBeforeNext = 4;
// One refusal may be of a packet that was sent while the origin restarted its socket.
constexpr int kRefusalsBeforeEnd = 3;

constexpr milliseconds kAfterGoodbye{10'000};

// An origin that took a session and answers none of its client's checks for so long has no media.
constexpr milliseconds kMediaPatience{5000};
constexpr milliseconds kIntroduceAgain{200};

// An alert under keys (RFC 6347 4.1: content type, version, epoch): nearly always close_notify. Who
// can write to us from a client's address can forge it, so it ends nothing by itself.
bool is_goodbye(ByteView packet) {
  constexpr std::uint8_t kAlert = 21;
  return packet.size() > 13 && packet[0] == kAlert && load_be16(packet.data() + 3) != 0;
}

Tally& packets(Metrics& metrics, const char* direction) {
  return metrics.tally("weir_webrtc_packets_total", "WebRTC packets relayed.",
                       {{"direction", direction}});
}

Tally& dropped(Metrics& metrics, const char* reason) {
  return metrics.tally("weir_webrtc_dropped_total", "WebRTC packets dropped, by why.",
                       {{"reason", reason}});
}

// RFC 7983 7, RTCP included.
bool is_rtp(ByteView packet) { return !packet.empty() && packet[0] >= 128 && packet[0] <= 191; }

}  // namespace

WebrtcTallies::WebrtcTallies(Metrics& metrics)
    : packets_to_clients(packets(metrics, "down")),
      packets_to_origins(packets(metrics, "up")),
      bytes_to_clients(relayed_bytes(metrics, "webrtc", "down")),
      bytes_to_origins(relayed_bytes(metrics, "webrtc", "up")),
      unbound(dropped(metrics, "unbound")),
      unsigned_(dropped(metrics, "unsigned")),
      malformed(dropped(metrics, "malformed")),
      late(dropped(metrics, "late")) {}

WebrtcPacket webrtc_packet(ByteView packet) {
  if (stun::is_stun(packet)) return WebrtcPacket::Stun;
  if (packet.empty()) return WebrtcPacket::Other;
  const bool dtls = packet[0] >= 20 && packet[0] <= 63;
  return dtls || is_rtp(packet) ? WebrtcPacket::Media : WebrtcPacket::Other;
}

bool is_check_of(const WebrtcSession& session, ByteView packet, const stun::Message& message) {
  const auto* check = session.check_of(message.username);
  return message.is_request() && check != nullptr &&
         stun::verifies(packet, message, check->password);
}

WebrtcPath::WebrtcPath(Context context, WebrtcEntryPtr entry, std::shared_ptr<void> ticket,
                       Address client)
    : context_(context),
      entry_(std::move(entry)),
      ticket_(std::move(ticket)),
      client_(client),
      use_(context_.routing, entry_->session.stream, entry_->session.upstream, nullptr,
           entry_->session.publishes ? Purpose::Publish : Purpose::Play),
      begun_(context_.buffers.loop().now()),
      checked_(begun_) {
  ++entry_->paths;
}

WebrtcPath::~WebrtcPath() {
  --entry_->paths;
  if (!listed_) return;
  if (refusals_ >= kRefusalsBeforeEnd)
    listed_->over(Errc::Reset);
  else if (context_.buffers.loop().now() - checked_ > WebrtcDirectory::kSilence)
    listed_->over(Errc::Timeout);
  entry_->client->listed = false;  // another path takes over
}

Result<void> WebrtcPath::open() {
  const auto& media = entry_->session.media;
  Result<void> opened = fail(Errc::Unavailable, "no address of the origin");
  for (address_ = 0; address_ < media.size(); ++address_) {
    auto fd = UdpSocket::connect(media[address_]);
    if (!fd) {
      opened = std::unexpected(fd.error());
      continue;
    }
    use_socket(*fd);
    return {};
  }
  return opened;
}

void WebrtcPath::adopt(WebrtcEntryPtr entry) {
  --entry_->paths;
  entry_ = std::move(entry);
  ++entry_->paths;
}

bool WebrtcPath::take(ByteView packet) {
  const WebrtcPacket kind = webrtc_packet(packet);
  if (kind == WebrtcPacket::Media) {
    relay(packet);
    return true;
  }
  const auto message = stun::parse(packet);
  if (!message) {
    context_.tallies.malformed.add();
    return true;
  }
  if (!message->is_request()) {
    relay(packet);  // an answer to the origin, which knows what it asked
    return true;
  }
  if (entry_->session.check_of(message->username) == nullptr) return false;
  if (is_check_of(entry_->session, packet, *message))
    take_check(packet);
  else
    context_.tallies.unsigned_.add();
  return true;
}

void WebrtcPath::take_check(ByteView packet) {
  checked_ = context_.buffers.loop().now();
  goodbye_.reset();
  entry_->hear(checked_);
  list_client();
  if (!heard_origin_ && unanswered_++ >= kChecksBeforeNext) try_next_address();
  if (!heard_origin_ && checked_ - begun_ > kMediaPatience) tell_silent();
  relay(packet);
}

void WebrtcPath::list_client() {
  if (listed_ || entry_->client->listed.exchange(true)) return;
  const WebrtcSession& session = entry_->session;
  listed_.emplace(
      SessionFacts{.kind = session.publishes ? SessionKind::Publish : SessionKind::Play,
                   .protocol = "webrtc",
                   .stream = session.stream,
                   .peer = client_,
                   .upstream = session.upstream,
                   .request_id = session.id,
                   .expires = session.expires},
      [client = entry_->client] {
        return Traffic{.received = client->received, .sent = client->sent};
      },
      [this] { end_session(); });
  if (session.publishes)
    rate_ = std::make_unique<PublishRate>(
        context_.buffers.loop(), [client = entry_->client] { return client->received.load(); },
        [this](const Error& why) {
          if (!listed_) return;
          log::warn("a WebRTC publisher is closed", {{"id", entry_->session.id},
                                                     {"peer", client_.text()},
                                                     {"stream", entry_->session.stream},
                                                     {"reason", name(why.code)},
                                                     {"error", why.text}});
          listed_->over(why.code);
          end_session();
        });
}

void WebrtcPath::end_session() {
  auto ended = context_.directory.end(entry_->session.id);
  context_.buffers.loop().spawn(std::move(ended));
  listed_.reset();
}

void WebrtcPath::introduce() {
  const auto& check = entry_->session.checks.front();
  introduction_ = random_transaction();
  introduced_ = context_.buffers.loop().now();
  const auto packet = stun::write({.username = check.username,
                                   .password = check.password,
                                   .transaction = *introduction_,
                                   .nominates = true});
  origin_->send(packet);
}

// Another path of the session may be the one that the two ends have chosen.
void WebrtcPath::tell_silent() {
  if (std::exchange(told_silent_, true) || entry_->answered) return;
  const WebrtcSession& session = entry_->session;
  log::warn("an origin took a WebRTC session and is silent",
            {{"stream", session.stream}, {"upstream", session.upstream}});
  context_.routing.failed(session.stream, session.upstream, Errc::Timeout, Stage::Media);
}

void WebrtcPath::hear_origin() {
  heard_origin_ = true;
  if (!entry_->answered.exchange(true)) context_.routing.served(entry_->session.upstream);
}

bool WebrtcPath::is_answer_to_us(ByteView packet) const {
  return introduction_ && stun::is_stun(packet) && stun::transaction_of(packet) == *introduction_;
}

void WebrtcPath::relay(ByteView packet) {
  context_.tallies.packets_to_origins.add();
  context_.tallies.bytes_to_origins.add(packet.size());
  entry_->client->received.fetch_add(packet.size(), std::memory_order_relaxed);
  const auto now = context_.buffers.loop().now();
  if (is_goodbye(packet)) goodbye_ = now;
  if (introduction_ && !heard_origin_ && now - introduced_ > kIntroduceAgain) introduce();
  origin_->send(packet);
}

void WebrtcPath::try_next_address() {
  unanswered_ = 0;
  const auto& media = entry_->session.media;
  if (media.size() < 2) return;
  address_ = (address_ + 1) % media.size();
  // What cannot be reached at all is passed over after as many checks as any other.
  auto fd = UdpSocket::connect(media[address_]);
  if (fd) use_socket(*fd);
}

void WebrtcPath::use_socket(int fd) {
  UdpHandler& handler = *this;
  origin_ = std::make_unique<UdpSocket>(context_.buffers, fd, handler);
}

void WebrtcPath::received(const UdpPeer&, std::span<std::uint8_t> packet) {
  if (!heard_origin_) hear_origin();
  refusals_ = 0;
  if (is_answer_to_us(packet)) return introduction_.reset();
  context_.tallies.packets_to_clients.add();
  context_.tallies.bytes_to_clients.add(packet.size());
  entry_->client->sent.fetch_add(packet.size(), std::memory_order_relaxed);
  if (is_goodbye(packet)) goodbye_ = context_.buffers.loop().now();
  if (!media_began_ && listed_ && is_rtp(packet)) {
    media_began_ = true;
    listed_->media_began();
  }
  deliver(packet);
}

void WebrtcPath::refused() {
  if (heard_origin_)
    ++refusals_;
  else
    unanswered_ = kChecksBeforeNext;
}

bool WebrtcPath::over(Clock::time_point now) const {
  if (goodbye_ && now - *goodbye_ > kAfterGoodbye) return true;
  return entry_->ended || refusals_ >= kRefusalsBeforeEnd ||
         now - checked_ > WebrtcDirectory::kSilence;
}

}  // namespace weir
