#include "proxy/srt_relay.h"

#include "common/stream_key.h"
#include "common/wire/srt_streamid.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/srt_handshakes.h"

namespace weir {

namespace {

using srt::Handshake;
using srt::Rejection;

// Those of the resource, and the keys that a streamid has beside it (#!::r=live/cam,token=x).
std::string arguments_of(std::string_view stream_id, const std::string& arguments) {
  constexpr std::string_view kKeyed = "#!::";
  if (!stream_id.starts_with(kKeyed)) return arguments;
  std::string all = arguments + (arguments.empty() ? "" : "&");
  for (const char c : stream_id.substr(kKeyed.size())) all += c == ',' ? '&' : c;
  return all;
}

Result<SrtCall> understand(const UdpPeer& caller, const Handshake& conclusion, ByteView packet) {
  auto text = srt::stream_id(conclusion);
  if (!text) return std::unexpected(text.error());
  auto request = srt::parse_stream_id(*text);
  if (!request) return std::unexpected(request.error());
  auto name = stream_from_srt(request->host, request->resource);
  if (!name) return std::unexpected(name.error());
  const bool publishes = request->mode == srt::StreamRequest::Mode::Publish;
  SrtCall call{.client = caller,
               .conclusion = ByteBuffer(packet.begin(), packet.end()),
               .key = name->key(),
               .publishes = publishes};
  if (Access::current() == nullptr) return call;
  const auto action = publishes ? AccessAction::Publish : AccessAction::Play;
  call.access = access_to_stream(action, "srt", call.key, arguments_of(*text, name->args),
                                 caller.address, {});
  return call;
}

}  // namespace

SrtRelay::SrtRelay(SrtContext context, Admission& admission, const SrtCookies& cookies, int fd)
    : context_(context),
      admission_(admission),
      cookies_(cookies),
      sessions_{.home = {&context.loop, this}, .trunks = SrtTrunks(context.buffers)},
      port_(context.buffers, fd, *this) {}

void SrtRelay::received(const UdpPeer& from, std::span<std::uint8_t> packet) {
  if (packet.size() < srt::kHeaderSize) return context_.metrics.malformed.add();
  const std::uint32_t to = srt::destination(packet);
  if (to == 0) return hear_handshake(from, packet);
  SrtSession* session = sessions_.joined.find({from.address, to});
  if (session == nullptr) return pass_elsewhere(from, {from.address, to}, packet);
  session->from_client(packet);
}

void SrtRelay::stray(const UdpPeer& from, ByteView packet) {
  if (older_ == nullptr || !older_->pass(PacketPass::Port::Srt, from, packet))
    context_.metrics.strays.add();
}

// For the session of another loop, or of nobody here.
void SrtRelay::pass_elsewhere(const UdpPeer& from, const SrtKey& key, ByteView packet) {
  const auto now = context_.loop.now();
  auto home = borrowed_.pass(key, packet, now);
  if (!home) {
    if (borrowed_.may_ask(now)) home = context_.directory.find(key);
    if (!home || home->relay == this) return stray(from, packet);
    borrowed_.expect(key, *home);
    borrowed_.pass(key, packet, now);
    home->loop->post(
        [relay = home->relay, key, borrower = sessions_.home] { relay->lend(key, borrower); });
  }
  context_.metrics.to_upstreams.add(packet.size());
  if (srt::control_type(packet) != srt::ControlType::Shutdown) return;
  home->loop->post([relay = home->relay, key] {
    SrtSession* session = relay->sessions_.joined.find(key);
    if (session != nullptr) session->ended_elsewhere();
  });
}

void SrtRelay::lend(const SrtKey& key, SrtHome borrower) {
  SrtSession* session = sessions_.joined.find(key);
  auto loan = session != nullptr ? session->lend(borrower) : std::nullopt;
  borrower.loop->post([relay = borrower.relay, key, loan = std::move(loan)] {
    if (loan)
      relay->borrowed_.take(key, *loan, relay->context_.loop.now());
    else
      relay->borrowed_.drop(key);
  });
}

void SrtRelay::hear_handshake(const UdpPeer& from, ByteView packet) {
  const auto handshake = srt::parse_handshake(packet);
  if (!handshake || handshake->socket_id == 0) return context_.metrics.malformed.add();
  if (handshake->type == srt::handshake_type::kInduction) return greet(from, *handshake);
  if (handshake->type != srt::handshake_type::kConclusion) return context_.metrics.malformed.add();
  if (!cookies_.valid(handshake->cookie, from.address, context_.loop.now()))
    return context_.metrics.bad_cookies.add();
  SrtSession* session = sessions_.callers.find({from.address, handshake->socket_id});
  if (session != nullptr) return session->asked_again(*handshake);
  admit(from, *handshake, packet);
}

void SrtRelay::greet(const UdpPeer& caller, const Handshake& induction) {
  const auto cookie = cookies_.make(caller.address, context_.loop.now());
  port_.send(caller, srt_greeting(induction, caller.address, cookie));
}

void SrtRelay::admit(const UdpPeer& caller, const Handshake& conclusion, ByteView packet) {
  if (conclusion.version < srt::kVersion5)
    return reject(caller, conclusion, Rejection::Version, {Errc::Protocol, "handshake version 4"});
  if (stopped_)
    return reject(caller, conclusion, Rejection::Close, {Errc::Cancelled, "going away"});
  if (sessions_.pending() >= context_.options.max_pending)
    return reject(caller, conclusion, Rejection::Backlog, {Errc::Limit, "too many wait already"});
  auto call = understand(caller, conclusion, packet);
  if (!call) return reject(caller, conclusion, srt_rejection_of(call.error().code), call.error());
  auto ticket = admission_.admit(caller.address);
  if (!ticket)
    return reject(caller, conclusion, Rejection::Backlog, {Errc::Limit, "too many connections"});
  context_.loop.spawn(serve(std::move(*call), std::move(ticket)));
}

void SrtRelay::reject(const UdpPeer& caller, const Handshake& conclusion, Rejection reason,
                      const Error& why) {
  context_.metrics.refused.add();
  port_.send(caller, srt_rejection(conclusion, reason));
  sessions_.refusals.write(log::Level::Info, "caller refused",
                           {{"peer", caller.address.text()},
                            {"protocol", "srt"},
                            {"reason", name(why.code)},
                            {"error", why.text}});
}

Task<void> SrtRelay::serve(SrtCall call, std::shared_ptr<void> ticket) {
  SrtSession session(context_, sessions_, port_, std::move(call));
  co_await session.run();
  ticket.reset();
}

}  // namespace weir
