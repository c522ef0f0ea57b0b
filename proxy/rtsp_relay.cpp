#include "proxy/rtsp_relay.h"

#include "common/io/child.h"
#include "common/io/pump.h"
#include "common/live_session.h"
#include "common/log.h"
#include "common/stream_key.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/access/publish_rate.h"
#include "proxy/hop_mark.h"
#include "proxy/rtsp_call.h"
#include "proxy/rtsp_lane.h"

namespace weir {

namespace {

constexpr std::chrono::seconds kLastWords{2};
constexpr milliseconds kLinger{500};  // for the other side to end by itself when one has
constexpr int kLooksPerTimeout = 4;   // so a silence is noticed a quarter late at most

int status_for(Errc why) {
  switch (why) {
    case Errc::Timeout: return 504;
    case Errc::Protocol:
    case Errc::Limit: return 502;
    default: return 503;
  }
}

class RtspRelay : private Timer {
 public:
  RtspRelay(RtspRelayContext context, std::unique_ptr<Socket> client)
      : context_(context),
        loop_(context.loop),
        options_(context.options),
        client_(std::move(client), context.options.limits),
        peer_(client_.socket().peer()),
        asked_(loop_.now()),
        id_(random_id()),
        call_(context, client_) {}

  Task<void> run() {
    Error ended = co_await serve();
    const bool asked = !call_.target().key.empty();
    if (!asked && ended.code == Errc::Closed) co_return;  // a health probe is no news
    context_.metrics.ended(kind(), name(ended.code));
    if (!served_ && asked) LiveSession::refused(facts(), ended.code);
    log_end(ended);
  }

 private:
  Task<Error> serve() {
    Deadline begin = loop_.in(options_.request_timeout);
    while (true) {
      auto message = co_await client_.read(begin, options_.request_timeout);
      if (!message) {
        const rtsp::Message unknown;
        co_await refuse(unknown, message.error());
        co_return message.error();
      }
      if (message->is_request()) {
        auto ended = co_await serve_request(std::move(*message));
        if (ended) co_return std::move(*ended);
      } else {
        auto passed = co_await call_.pass_up(std::move(*message));
        if (!passed) co_return passed.error();
      }
      begin = loop_.in(options_.session_timeout);
    }
  }

  // Nothing: the client may ask on.
  Task<std::optional<Error>> serve_request(rtsp::Message request) {
    const bool sets_up = request.method == "SETUP";
    if (sets_up && !keep_interleaved(request)) {
      context_.metrics.refused_transports.Increment();
      auto told = co_await answer(rtsp::answer_to(request, 461));
      co_return told;
    }
    auto target = target_of(request);
    if (target && target->key.empty()) {
      auto told = co_await answer(answer_options(request));
      co_return told;
    }
    if (!target) {
      co_await refuse(request, target.error());
      co_return target.error();
    }
    note(request, *target);
    if (agent_.empty()) agent_ = request.headers.find("User-Agent").value_or("");
    const std::string method = request.method;
    if (Access::current() != nullptr && method != "OPTIONS") {
      auto refused = co_await refuse_unless_allowed(request, *target);
      if (refused) co_return refused;
    }
    rtsp::Message refusal = rtsp::answer_to(request, 503);
    auto reply = co_await call_.ask(std::move(request), std::move(*target));
    if (!reply) {
      if (call_.client_gone()) co_return reply.error();
      refusal.status = status_for(reply.error().code);
      refusal.reason = rtsp::reason_phrase(refusal.status);
      co_await say_last(std::move(refusal));
      co_return reply.error();
    }
    const bool agreed = reply->status / 100 == 2;
    if (method == "ANNOUNCE" || method == "DESCRIBE") publishes_ = method == "ANNOUNCE" && agreed;
    auto told = co_await answer(std::move(*reply));
    if (told || !agreed || !sets_up) co_return told;
    Error ended = co_await relay();
    co_return std::move(ended);
  }

  // Once a stream is known, only what describes or announces may be about another.
  rtsp::Parsed<RtspTarget> target_of(rtsp::Message& request) const {
    auto marked = mark_hop(request, options_.node_id, options_.max_hops);
    if (!marked) return std::unexpected(marked.error());
    auto target = rtsp_target(request);
    const bool names = request.method == "DESCRIBE" || request.method == "ANNOUNCE";
    if (call_.connected() && !names) return call_.target();
    return target;
  }

  void note(const rtsp::Message& request, const RtspTarget& target) {
    if (request.method == "OPTIONS" || target.key == noted_) return;
    noted_ = target.key;
    log::info(request.method == "ANNOUNCE" ? "publisher asks" : "viewer asks",
              {{"id", id_}, {"peer", peer_.text()}, {"stream", noted_}, {"protocol", "rtsp"}});
  }

  static AccessAction action_of(std::string_view method, AccessAction present) {
    if (method == "ANNOUNCE" || method == "RECORD") return AccessAction::Publish;
    return method == "DESCRIBE" || method == "PLAY" ? AccessAction::Play : present;
  }

  // A permission is for one stream and one action; what is asked for after that is within it.
  Task<std::optional<Error>> refuse_unless_allowed(rtsp::Message request, RtspTarget target) {
    const AccessAction action = action_of(request.method, action_);
    if (granted_ == target.key && action == action_) co_return std::nullopt;
    const auto name = stream_from_rtsp(request.uri);
    AccessRequest access =
        access_to_stream(action, "rtsp", target.key, name ? name->args : "", peer_, id_);
    access.authorization = request.headers.find("Authorization").value_or("");
    access.tc_url = request.uri;
    grant_ = Grant();
    auto permit = co_await Access::current()->may(std::move(access));
    if (permit) {
      grant_ = std::move(*permit);
      granted_ = target.key;
      action_ = action;
      co_return std::nullopt;
    }
    rtsp::Message refusal = rtsp::answer_to(request, permit.error().http_status());
    add_challenge(permit.error(), refusal.headers);
    co_await say_last(std::move(refusal));
    co_return permit.error().error();
  }

  Task<std::optional<Error>> answer(rtsp::Message message) {
    auto sent = co_await client_.write(std::move(message), loop_.in(options_.stall_timeout));
    if (!sent) co_return sent.error();
    co_return std::nullopt;
  }

  Task<void> refuse(const rtsp::Message& request, rtsp::Refusal why) {
    if (why.status != 0) co_await say_last(rtsp::answer_to(request, why.status));
  }

  Task<void> say_last(rtsp::Message message) {
    auto told = co_await client_.write(std::move(message), loop_.in(kLastWords));
    if (told) co_await part(client_.socket(), loop_.in(kLastWords));
  }

  // From here on both sides may send whatever and whenever they like.
  Task<Error> relay() {
    Socket& client = client_.socket();
    Socket& origin = call_.origin().socket();
    RouteUse use(
        context_.routing, call_.target().key, call_.upstream(), [&origin] { origin.close(); },
        publishes_ ? Purpose::Publish : Purpose::Play);
    RtspLane up(
        client, origin, client_.reader(), client_.unread(),
        [this](rtsp::Message message, std::string& out) { return go_up(std::move(message), out); },
        options_.stall_timeout, context_.metrics.to_upstreams);
    RtspLane down(
        origin, client, call_.origin().reader(), call_.origin().unread(),
        [this](rtsp::Message message, std::string& out) {
          return go_down(std::move(message), out);
        },
        options_.stall_timeout, context_.metrics.to_clients);
    Cutoff cutoff(client, origin);
    up_ = &up;
    down_ = &down;
    cutoff_ = &cutoff;
    LiveSession live(
        facts(), [&up, &down] { return Traffic{.received = up.bytes(), .sent = down.bytes()}; },
        [&client] { client.close(); });
    served_ = true;
    (publishes_ ? up : down).on_media = [&live] { live.media_began(); };
    auto& present = publishes_ ? context_.metrics.publishers : context_.metrics.viewers;
    present.Increment();
    look_again();
    std::optional<PublishRate> rate;
    if (publishes_)
      rate.emplace(
          loop_, [&up] { return up.bytes(); },
          [this](Error why) {
            if (!first_end_) first_end_ = std::move(why);
            cutoff_->now();
          });
    Child upward(loop_);
    upward.start(run_lane(up, "client"));
    auto downward = run_lane(down, "origin");
    co_await downward;
    co_await upward.join();
    disarm();
    present.Decrement();
    bytes_ = publishes_ ? up.bytes() : down.bytes();
    live.over(first_end_->code);
    co_return live.ended().value_or(*first_end_);
  }

  SessionFacts facts() const {
    return {.kind = publishes_ ? SessionKind::Publish : SessionKind::Play,
            .protocol = "rtsp",
            .stream = call_.target().key,
            .peer = peer_,
            .upstream = call_.upstream(),
            .agent = agent_,
            .request_id = id_,
            .asked = asked_,
            .expires = grant_.expires()};
  }

  // When one side has ended so does the other: at once if it broke, else after a moment for last
  // words.
  Task<void> run_lane(RtspLane& lane, std::string side) {
    Error ended = co_await lane.run();
    if (!first_end_) first_end_ = {ended.code, side + ": " + ended.text};
    if (&lane == up_ && lane.refusal() != 0) {
      const auto told = down_->insert(rtsp::answer_to(rtsp::Message{}, lane.refusal()));
      if (told) ended.code = Errc::Closed;
    }
    if (ended.code == Errc::Closed)
      cutoff_->after(kLinger);
    else
      cutoff_->now();
  }

  Result<void> go_up(rtsp::Message message, std::string& out) {
    if (message.is_request()) {
      if (message.method == "SETUP" && !keep_interleaved(message)) {
        context_.metrics.refused_transports.Increment();
        return down_->insert(rtsp::answer_to(message, 461));
      }
      const bool names = message.method == "DESCRIBE" || message.method == "ANNOUNCE";
      if (names) {
        const auto target = rtsp_target(message);
        if (!target || target->key != call_.target().key)
          return down_->insert(rtsp::answer_to(message, target ? 455 : target.error().status));
      }
      // Nobody goes from playing to publishing, or back, with the permission for the other.
      const bool other =
          Access::current() != nullptr && action_of(message.method, action_) != action_;
      if (other) return down_->insert(rtsp::answer_to(message, 455));
      const auto marked = mark_hop(message, options_.node_id, options_.max_hops);
      if (!marked) return down_->insert(rtsp::answer_to(message, marked.error().status));
      if (unanswered_++ == 0) asked_at_ = loop_.now();
    }
    rtsp::write(message, out);
    return {};
  }

  Result<void> go_down(rtsp::Message message, std::string& out) {
    const bool final = !message.is_request() && message.status >= 200;
    if (final && unanswered_ > 0) --unanswered_;
    show_to_client(message, call_.target().base, call_.endpoint());
    rtsp::write(message, out);
    return {};
  }

  void look_again() {
    const milliseconds shorter = std::min(options_.session_timeout, options_.request_timeout);
    loop_.arm(*this, loop_.in(shorter / kLooksPerTimeout));
  }

  void expired() override {
    const auto now = loop_.now();
    const bool silent =
        now - std::max(up_->heard_at(), down_->heard_at()) >= options_.session_timeout;
    const bool hung =
        unanswered_ > 0 && now - std::max(asked_at_, down_->heard_at()) >= options_.request_timeout;
    if (!silent && !hung) return look_again();
    if (!first_end_)
      first_end_ = Error{Errc::Timeout, silent ? "nobody says anything" : "origin does not answer"};
    if (hung)
      context_.routing.failed(call_.target().key, call_.upstream(), Errc::Timeout, Stage::Request);
    cutoff_->now();
  }

  const char* kind() const {
    return call_.target().key.empty() ? "none" : publishes_ ? "publish" : "play";
  }

  void log_end(const Error& why) const {
    log::info("session ended", {{"id", id_},
                                {"peer", peer_.text()},
                                {"stream", call_.target().key},
                                {"protocol", "rtsp"},
                                {"kind", kind()},
                                {"upstream", call_.upstream()},
                                {"bytes", bytes_},
                                {"reason", name(why.code)},
                                {"error", why.text}});
  }

  RtspRelayContext context_;
  Loop& loop_;
  const RtspRelayOptions& options_;
  rtsp::Connection client_;
  Address peer_;
  Clock::time_point asked_;
  bool served_ = false;  // it had a session
  const std::string id_;
  RtspCall call_;
  std::string noted_;  // the stream that the log knows of
  Grant grant_;
  std::string granted_;  // the stream that it is for
  AccessAction action_ = AccessAction::Play;
  std::string agent_;
  bool publishes_ = false;

  // Once media is set up.
  RtspLane* up_ = nullptr;
  RtspLane* down_ = nullptr;
  Cutoff* cutoff_ = nullptr;
  int unanswered_ = 0;  // requests of the client
  Clock::time_point asked_at_;
  std::optional<Error> first_end_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Task<void> relay_rtsp(RtspRelayContext context, std::unique_ptr<Socket> client,
                      std::shared_ptr<void> admission) {
  RtspRelay relay(context, std::move(client));
  co_await relay.run();
  admission.reset();
}

}  // namespace weir
