#include "proxy/srt_session.h"

#include <fcntl.h>

#include "common/log.h"
#include "proxy/access/access_requests.h"
#include "proxy/access/publish_rate.h"
#include "proxy/hop_mark.h"
#include "proxy/srt_handshakes.h"
#include "proxy/srt_relay.h"

namespace weir {

namespace {

using srt::ControlType;
using srt::Handshake;

// As libsrt's callers do.
constexpr milliseconds kRepeat{250};

Handshake read_own(const ByteBuffer& conclusion) {
  auto handshake = srt::parse_handshake(conclusion);
  INVARIANT(handshake);
  return *handshake;
}

std::uint32_t later(std::uint32_t stamp, Clock::duration by) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  return stamp + static_cast<std::uint32_t>(microseconds);
}

}  // namespace

SrtSession::SrtSession(SrtContext context, SrtSessions& sessions, UdpSocket& port, SrtCall call)
    : context_(context),
      loop_(context.loop),
      sessions_(sessions),
      port_(port),
      client_(call.client),
      key_(std::move(call.key)),
      publishes_(call.publishes),
      id_(random_id()),
      caller_{client_.address, read_own(call.conclusion).socket_id},
      initial_sequence_(read_own(call.conclusion).initial_sequence),
      news_(context.loop),
      access_(std::move(call.access)),
      conclusion_(std::move(call.conclusion)),
      conclusion_stamp_(srt::timestamp(conclusion_)),
      asked_at_(loop_.now()) {
  sessions_.callers.add(caller_, *this);
}

SrtSession::~SrtSession() {
  leave_trunk();
  sessions_.callers.remove(caller_);
  if (step_ != Step::Joined) return;
  sessions_.joined.remove(joined_);
  context_.directory.remove(joined_);
  for (const SrtHome& borrower : borrowers_)
    borrower.loop->post([relay = borrower.relay, key = joined_] { relay->drop_loan(key); });
}

Task<void> SrtSession::run() {
  auto reached = co_await ask_access();
  if (reached) reached = co_await reach();
  if (reached) {
    log::info(publishes_ ? "publisher joined" : "viewer joined", {{"id", id_},
                                                                  {"peer", client_.address.text()},
                                                                  {"stream", key_},
                                                                  {"protocol", "srt"},
                                                                  {"upstream", upstream_}});
    auto& present = publishes_ ? context_.metrics.publishers : context_.metrics.viewers;
    LiveSession live(
        facts(), [this] { return traffic(); }, [this] { end(Errc::Cancelled, "ended from here"); });
    live_ = &live;
    present.Increment();
    std::optional<PublishRate> rate;
    if (publishes_)
      rate.emplace(
          loop_, [this] { return traffic().received; },
          [this](Error why) { end(why.code, std::move(why.text)); });
    co_await attend();
    present.Decrement();
    live_ = nullptr;
    live.over(end_->code);
    if (live.ended()) end_ = live.ended();
  } else {
    end(reached.error().code, reached.error().text);
    LiveSession::refused(facts(), end_->code);
    if (!rejected_) {
      context_.metrics.refused.add();
      const auto reason = barred_ ? srt_rejection_of(*barred_) : srt_rejection_of(end_->code);
      port_.send(client_, srt_rejection(read_own(conclusion_), reason));
    }
  }
  context_.buffers.flush();  // last words do not outlive a trunk
  context_.metrics.ended(publishes_ ? "publish" : "play", name(end_->code));
  log_end();
}

Task<Result<void>> SrtSession::ask_access() {
  Access* const access = Access::current();
  if (access == nullptr || access_.key.empty()) co_return Result<void>{};
  access_.id = id_;
  auto permit = co_await access->may(std::move(access_));
  if (end_) co_return std::unexpected(*end_);
  if (permit) {
    grant_ = std::move(*permit);
    co_return Result<void>{};
  }
  barred_ = std::move(permit.error());
  co_return std::unexpected(barred_->error());
}

SessionFacts SrtSession::facts() const {
  return {.kind = publishes_ ? SessionKind::Publish : SessionKind::Play,
          .protocol = "srt",
          .stream = key_,
          .peer = client_.address,
          .upstream = upstream_,
          .request_id = id_,
          .asked = asked_at_,
          .expires = grant_.expires()};
}

// Tries origins until one answers; what it says to the CONCLUSION stands.
Task<Result<void>> SrtSession::reach() {
  std::vector<std::string> tried;
  std::optional<Error> last;
  for (int i = 0; i < context_.options.dial.max_tries; ++i) {
    auto route = co_await context_.routing.route(key_, Protocol::Srt, tried);
    if (!route) co_return std::unexpected(last.value_or(route.error()));
    upstream_ = route->upstream->id;
    tried.push_back(upstream_);
    auto reached = co_await try_upstream(route->upstream);
    if (reached) {
      context_.routing.confirmed(key_, upstream_);
      co_return reached;
    }
    if (end_) co_return std::unexpected(*end_);
    last = reached.error();
    const bool silent_late = step_ == Step::Conclusion && last->code == Errc::Timeout;
    context_.routing.failed(key_, upstream_, last->code,
                            silent_late ? Stage::Request : Stage::Connect);
    sessions_.troubles.write(log::Level::Warn, "upstream rejected",
                             {{"stream", key_},
                              {"upstream", upstream_},
                              {"reason", name(last->code)},
                              {"error", last->text}});
    use_.reset();
    if (silent_late || last->code == Errc::Cancelled) break;
  }
  co_return std::unexpected(last.value_or(Error{Errc::Unavailable, "no upstream left to try"}));
}

Task<Result<void>> SrtSession::try_upstream(UpstreamPtr upstream) {
  Result<void> last = fail(Errc::Unavailable, "no endpoint");
  for (const Endpoint& endpoint : upstream->at(Protocol::Srt)) {
    const Deadline deadline = loop_.in(context_.options.dial.connect_timeout);
    auto addresses = co_await context_.resolver.resolve(endpoint.host, endpoint.port, deadline);
    if (!addresses) {  // which says nothing about the stream
      last = fail(addresses.error().code == Errc::NotFound ? Errc::Refused : addresses.error().code,
                  addresses.error().text);
      continue;
    }
    for (std::size_t i = 0; i < addresses->size(); ++i) {
      const auto left = static_cast<int>(addresses->size() - i);
      const Deadline part = loop_.now() + (deadline - loop_.now()) / left;
      last = co_await try_address((*addresses)[i], part);
      if (last || end_ || step_ == Step::Conclusion) co_return last;
    }
    context_.resolver.forget(endpoint.host);
  }
  co_return last;
}

Task<Result<void>> SrtSession::try_address(Address address, Deadline deadline) {
  leave_trunk();
  auto trunk = sessions_.trunks.join(address, caller_.socket, *this);
  if (!trunk) co_return std::unexpected(trunk.error());
  origin_ = std::move(*trunk);
  origin_address_ = address;
  refused_ = false;
  step_ = Step::Induction;
  auto greeted = co_await ask(Step::Induction, deadline);
  if (!greeted) co_return greeted;
  context_.routing.succeeded(upstream_);
  use_.emplace(
      context_.routing, key_, upstream_, [this] { end(Errc::Reset, "the stream is elsewhere"); },
      publishes_ ? Purpose::Publish : Purpose::Play);
  auto answered = co_await ask(Step::Conclusion, loop_.in(context_.options.dial.reply_timeout));
  co_return answered;
}

// Says what belongs to `step`, again and again, until that is past.
Task<Result<void>> SrtSession::ask(Step step, Deadline deadline) {
  while (step_ == step && !end_) {
    if (step == Step::Induction)
      say_induction();
    else
      say_conclusion();
    const Deadline again = std::min(deadline, loop_.in(kRepeat));
    auto woken = co_await news_.wait(again);
    if (!woken && woken.error().code == Errc::Cancelled) co_return woken;
    if (refused_) co_return fail(Errc::Refused, "nobody listens at " + origin_address_.text());
    if (!woken && step_ == step && again == deadline)
      co_return fail(Errc::Timeout, "no answer from " + origin_address_.text());
  }
  if (end_) co_return std::unexpected(*end_);
  co_return Result<void>{};
}

Task<void> SrtSession::attend() {
  while (!end_) {
    const Deadline due = last_heard() + context_.options.idle;
    auto woken = co_await news_.wait(due);
    if (woken) continue;
    if (woken.error().code == Errc::Cancelled) end(Errc::Cancelled, "going away");
    if (last_heard() + context_.options.idle > loop_.now()) continue;
    end(Errc::Timeout, last_heard() < origin_seen_ ? "client: silent" : "origin: silent");
  }
  if (!parted_) say_goodbye();
}

// Of the end that has been silent for longer.
Clock::time_point SrtSession::last_heard() const {
  Clock::time_point client = client_seen_;
  if (pulse_)
    client = std::max(
        client, Clock::time_point(Clock::duration(pulse_->heard.load(std::memory_order_relaxed))));
  return std::min(client, origin_seen_);
}

Traffic SrtSession::traffic() const {
  const auto elsewhere = pulse_ ? pulse_->bytes.load(std::memory_order_relaxed) : 0;
  return {.received = received_ + elsewhere, .sent = sent_};
}

std::optional<SrtLoan> SrtSession::lend(SrtHome borrower) {
  const int fd = ::fcntl(origin_->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  if (!pulse_) pulse_ = std::make_shared<SrtPulse>();
  borrowers_.push_back(borrower);
  return SrtLoan{fd, pulse_};
}

void SrtSession::ended_elsewhere() {
  parted_ = true;
  end(Errc::Closed, "client: ended");
}

void SrtSession::end(Errc code, std::string text) {
  if (end_) return;
  end_ = {code, std::move(text)};
  news_.notify();
}

void SrtSession::from_client(std::span<std::uint8_t> packet) {
  if (end_) return;
  client_seen_ = loop_.now();
  origin_->send(packet);
  context_.metrics.to_upstreams.add(packet.size());
  received_ += packet.size();
  if (srt::control_type(packet) != ControlType::Shutdown) return;
  parted_ = true;
  end(Errc::Closed, "client: ended");
}

void SrtSession::leave_trunk() {
  if (origin_) origin_->leave(caller_.socket);
  origin_.reset();
}

void SrtSession::from_origin(std::span<std::uint8_t> packet) {
  if (end_) return;
  const auto control = srt::control_type(packet);
  if (control == ControlType::Handshake) return hear_handshake(packet);
  if (step_ != Step::Joined) return;
  origin_seen_ = loop_.now();
  port_.send(client_, packet);
  if (live_ != nullptr && !control) std::exchange(live_, nullptr)->media_began();
  context_.metrics.to_clients.add(packet.size());
  sent_ += packet.size();
  if (control != ControlType::Shutdown) return;
  parted_ = true;
  end(Errc::Closed, "origin: ended");
}

void SrtSession::refused() {
  refused_ = true;
  news_.notify();
  if (step_ == Step::Joined) end(Errc::Reset, "origin: nobody listens any more");
}

void SrtSession::hear_handshake(std::span<std::uint8_t> packet) {
  const auto heard = srt::parse_handshake(packet);
  if (!heard) return;
  const bool induction = heard->type == srt::handshake_type::kInduction;
  const bool conclusion = heard->type == srt::handshake_type::kConclusion;
  if (!induction) srt::set_peer(packet, srt_peer_field(client_.address));
  if (step_ == Step::Induction && induction && heard->version >= srt::kVersion5) {
    cookie_ = heard->cookie;
    step_ = Step::Conclusion;
    news_.notify();
  } else if (step_ == Step::Conclusion && conclusion && heard->socket_id != 0) {
    join(*heard, packet);
  } else if (step_ != Step::Joined && heard->rejection()) {
    port_.send(client_, packet);
    rejected_ = true;
    const Error why = srt_error_of(*heard->rejection());
    end(why.code, why.text);
  } else if (step_ == Step::Joined && conclusion) {
    port_.send(client_, packet);
  }
}

void SrtSession::join(const Handshake& answer, std::span<std::uint8_t> packet) {
  joined_ = {client_.address, answer.socket_id};
  if (!sessions_.joined.add(joined_, *this)) {
    origin_->send(srt::shutdown_packet(answer.socket_id));
    return end(Errc::Unavailable, "another session of this client has the origin's socket id");
  }
  answer_.assign(packet.begin(), packet.end());
  answer_stamp_ = srt::timestamp(packet);
  answered_at_ = client_seen_ = origin_seen_ = loop_.now();
  step_ = Step::Joined;
  context_.directory.add(joined_, sessions_.home);
  port_.send(client_, packet);
  news_.notify();
}

void SrtSession::asked_again(const Handshake& conclusion) {
  if (end_) return;
  if (conclusion.initial_sequence != initial_sequence_)
    end(Errc::Reset, "client: began anew");  // its next repetition finds room
  else if (step_ == Step::Joined)
    say_answer();
}

void SrtSession::say_induction() {
  origin_->send(srt_induction(read_own(conclusion_), origin_address_));
}

void SrtSession::say_conclusion() {
  srt::set_timestamp(conclusion_, later(conclusion_stamp_, loop_.now() - asked_at_));
  srt::set_cookie(conclusion_, cookie_);
  srt::set_peer(conclusion_, srt_peer_field(origin_address_));
  origin_->send(conclusion_);
}

void SrtSession::say_answer() {
  srt::set_timestamp(answer_, later(answer_stamp_, loop_.now() - answered_at_));
  port_.send(client_, answer_);
}

void SrtSession::say_goodbye() {
  port_.send(client_, srt::shutdown_packet(caller_.socket));
  origin_->send(srt::shutdown_packet(joined_.socket));
}

// Callers that are refused come again at once, many times a second.
void SrtSession::log_end() {
  const auto peer = client_.address.text();
  const log::Fields fields = {{"id", id_},
                              {"peer", peer},
                              {"stream", key_},
                              {"protocol", "srt"},
                              {"kind", publishes_ ? "publish" : "play"},
                              {"upstream", upstream_},
                              {"bytes", publishes_ ? traffic().received : sent_},
                              {"reason", name(end_->code)},
                              {"error", end_->text}};
  if (step_ == Step::Joined)
    log::info("session ended", fields);
  else
    sessions_.refusals.write(log::Level::Info, "caller refused", fields);
}

}  // namespace weir
