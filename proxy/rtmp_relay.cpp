#include "proxy/rtmp_relay.h"

#include "common/io/child.h"
#include "common/io/pump.h"
#include "common/live_session.h"
#include "common/log.h"
#include "common/rtmp/client.h"
#include "common/stream_key.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/access/publish_rate.h"
#include "proxy/chunk_pipe.h"
#include "proxy/hop_mark.h"

namespace weir {

namespace {

using rtmp::Connection;

constexpr std::chrono::seconds kLastWords{2};
constexpr milliseconds kLinger{500};  // for the other side to end by itself when one has

class RtmpRelay {
 public:
  RtmpRelay(RtmpRelayContext context, std::unique_ptr<Socket> client)
      : context_(context),
        loop_(context.loop),
        options_(context.options),
        client_(std::move(client), setup_limits(context.options)),
        peer_(client_.socket().peer()),
        asked_(loop_.now()) {}

  Task<void> run() {
    Error ended = co_await serve();
    if (key_.empty() && ended.code == Errc::Closed) co_return;  // a health probe is no news
    context_.metrics.ended(kind(), name(ended.code));
    if (!served_ && !key_.empty()) LiveSession::refused(facts(), ended.code);
    log_end(ended);
  }

 private:
  static rtmp::ReaderLimits setup_limits(const RtmpRelayOptions& options) {
    rtmp::ReaderLimits limits = options.limits;
    limits.message = rtmp::kMaxSetupMessage;
    return limits;
  }

  Task<Error> serve() {
    auto greeted = co_await client_.accept(loop_.in(options_.handshake_timeout));
    if (!greeted) co_return greeted.error();
    auto asked = co_await rtmp::serve_setup(
        client_, options_.window_ack, loop_.in(options_.request_timeout), rtmp::kInitialChunkSize);
    if (!asked) co_return asked.error();
    request_ = std::move(*asked);
    auto understood = understand();
    if (understood) understood = co_await ask_access();
    Error ended{Errc::Cancelled, ""};
    if (understood) {
      client_.reader().set_message_limit(options_.limits.message);
      ended = co_await relay();
    } else {
      ended = understood.error();
    }
    if (!answered_)
      co_await refuse(ended);
    else if (refused_)
      co_await part(client_.socket(), loop_.in(kLastWords));
    co_return ended;
  }

  Result<void> understand() {
    const HopMark mark = hop_mark_of(request_);
    id_ = mark.id;
    auto name = stream_from_rtmp(request_.tc_url, request_.app, request_.stream);
    if (!name) return std::unexpected(name.error());
    key_ = name->key();
    auto next = next_hop(mark, options_.node_id, options_.max_hops);
    if (!next) return std::unexpected(next.error());
    if (!request_.connect.empty()) {
      set_hop_mark(request_.connect[0], *next);
      set_client_address(request_.connect[0], options_.tells_address ? peer_.host() : "");
    }
    log::info(publishes() ? "publisher asks" : "viewer asks",
              {{"id", id_}, {"peer", peer_.text()}, {"stream", key_}, {"protocol", "rtmp"}});
    return {};
  }

  Task<Result<void>> ask_access() {
    Access* const access = Access::current();
    if (access == nullptr) co_return Result<void>{};
    const auto name = stream_from_rtmp(request_.tc_url, request_.app, request_.stream);
    auto permit = co_await access->may(access_of(request_, *name, peer_, id_));
    if (!permit) co_return std::unexpected(permit.error().error());
    grant_ = std::move(*permit);
    co_return Result<void>{};
  }

  const char* kind() const { return key_.empty() ? "none" : publishes() ? "publish" : "play"; }
  bool publishes() const { return request_.kind == rtmp::Request::Kind::Publish; }

  Task<void> refuse(Error why) {
    rtmp::send_refusal(client_, request_, why);
    auto told = co_await client_.flush(loop_.in(kLastWords));
    if (told) co_await part(client_.socket(), loop_.in(kLastWords));
  }

  // Tries origins until one lets itself be talked to; its verdict stands.
  Task<Error> relay() {
    if (!publishes()) co_await context_.routing.locate(key_);
    Dialer dialer(context_.routing, context_.resolver, key_, Protocol::Rtmp, options_.dial);
    dialer.connect_for(ClientEnds::of(client_.socket()));
    while (true) {
      auto dialed = co_await dialer.next();
      if (!dialed) co_return co_await nobody(dialed.error());
      upstream_ = dialed->upstream->id;
      Connection origin(std::move(dialed->socket), options_.limits);
      auto opened = co_await rtmp::open_stream(origin, request_.connect, options_.window_ack,
                                               loop_.in(options_.dial.reply_timeout),
                                               client_.reader().chunk_size());
      if (!opened) {
        dialer.reject(opened.error(), Stage::Setup);
        if (opened.error().code == Errc::Cancelled || opened.error().code == Errc::Denied)
          co_return opened.error();
        continue;
      }
      origin_stream_ = *opened;
      RouteUse use(
          context_.routing, key_, upstream_, [&origin] { origin.socket().close(); },
          publishes() ? Purpose::Publish : Purpose::Play);
      auto accepted = co_await until_verdict(origin);
      if (!accepted && !answered_ && !publishes() && accepted.error().code == Errc::NotFound) {
        dialer.reject(accepted.error(), Stage::Request);
        continue;
      }
      if (!accepted && !answered_) co_return co_await nobody(accepted.error());
      if (!accepted) co_return accepted.error();
      dialer.accept();
      auto& present = publishes() ? context_.metrics.publishers : context_.metrics.viewers;
      present.Increment();
      Error ended = co_await move_bytes(origin);
      present.Decrement();
      co_return ended;
    }
  }

  // No origin is left to ask. If one said that it does not have the stream, its words are the client's.
  Task<Error> nobody(Error why) {
    if (!missing_) co_return why;
    client_.send(missing_->header, missing_->payload);
    answered_ = refused_ = true;
    static_cast<void>(co_await client_.flush(loop_.in(kLastWords)));
    co_return Error{Errc::NotFound, "no origin has the stream"};
  }

  // Passes messages on until the origin's verdict has been given and neither side is inside a
  // message.
  Task<Result<void>> until_verdict(Connection& origin) {
    match_chunk_sizes(origin);
    if (publishes())
      rtmp::send_publish(origin, origin_stream_, request_.stream, request_.arguments);
    else
      rtmp::send_play(origin, origin_stream_, request_.stream, request_.arguments);
    // A client that goes while the origin thinks takes its connection there along.
    const auto gone = client_.socket().when_gone([&origin] { origin.socket().close(); });
    const Deadline deadline = loop_.in(options_.request_timeout);
    while (!answered_ || !origin.reader().at_boundary()) {
      auto message = co_await origin.read(deadline);
      if (!message) co_return fail(Errc::Denied, "origin gave no verdict: " + message.error().text);
      const auto verdict = verdict_in(*message);
      if (verdict && verdict->reply)
        co_return fail(verdict->reason(), verdict->code + " " + verdict->description);
      if (verdict && verdict->error && !answered_ && !publishes() &&
          verdict->reason() == Errc::NotFound) {
        if (!missing_) missing_ = as_kept(*message);
        co_return fail(Errc::NotFound, verdict->code + " " + verdict->description);
      }
      pass_on(*message);
      if (!verdict && !answered_) continue;
      answered_ = true;
      auto sent = co_await client_.flush(loop_.in(options_.stall_timeout));
      if (!sent) co_return sent;
      if (verdict && verdict->error) {
        refused_ = true;
        co_return fail(verdict->reason(), verdict->code + " " + verdict->description);
      }
    }
    co_return Result<void>{};
  }

  struct Kept {
    rtmp::MessageHeader header;
    ByteBuffer payload;
  };
  Kept as_kept(const rtmp::Message& message) const {
    Kept kept{message.header, {message.payload.begin(), message.payload.end()}};
    if (kept.header.stream_id == origin_stream_) kept.header.stream_id = request_.stream_id;
    return kept;
  }

  // An origin that silently begins to send media has decided, too.
  std::optional<rtmp::Verdict> verdict_in(const rtmp::Message& message) const {
    const auto type = message.header.type;
    if (type == rtmp::Type::Audio || type == rtmp::Type::Video) return rtmp::Verdict{};
    auto verdict = rtmp::verdict_of(message);
    if (verdict && verdict->code.empty() && !verdict->reply) return std::nullopt;
    if (verdict && !verdict->error && verdict->code == "NetStream.Play.Reset") return std::nullopt;
    return verdict;
  }

  // What concerns the connection to the origin alone stays here.
  void pass_on(const rtmp::Message& message) {
    using rtmp::Type;
    rtmp::MessageHeader header = message.header;
    switch (header.type) {
      case Type::SetChunkSize:
      case Type::Abort:
      case Type::Acknowledgement:
      case Type::WindowAckSize:
      case Type::SetPeerBandwidth: return;
      case Type::UserControl: pass_on_event(message); return;
      case Type::CommandAmf0:
      case Type::CommandAmf3:
        if (!concerns_client(message)) return;
        break;
      default: break;
    }
    if (header.stream_id == origin_stream_) header.stream_id = request_.stream_id;
    client_.send(header, message.payload);
  }

  // Events up to PingRequest name a stream, by the origin's number. Pings are answered by us.
  void pass_on_event(const rtmp::Message& message) {
    constexpr std::size_t kNameAndStream = 6;
    if (message.payload.size() < kNameAndStream) return;
    const auto event = static_cast<rtmp::Event>(load_be16(message.payload.data()));
    const std::uint32_t stream = load_be32(message.payload.data() + 2);
    if (event >= rtmp::Event::PingRequest || event == rtmp::Event::SetBufferLength) return;
    client_.user_control(event, stream == origin_stream_ ? request_.stream_id : stream);
  }

  // Answers to what we asked on the client's behalf (releaseStream, FCPublish) have been given by
  // us.
  static bool concerns_client(const rtmp::Message& message) {
    auto values = rtmp::decode_command(message);
    if (!values || values->empty()) return false;
    const std::string_view name = values->front().text();
    return name != "_result" && name != "_error" && name != "onFCPublish" && name != "onBWDone";
  }

  // What the one writes and what the other reads are one chunk stream soon. So neither side is told
  // a size of our own before: some clients answer with the same size, and nginx-rtmp loses what it
  // has received already when a size becomes smaller.
  void match_chunk_sizes(Connection& origin) {
    client_.set_chunk_size(origin.reader().chunk_size());
    origin.set_chunk_size(client_.reader().chunk_size());
  }

  Task<Error> move_bytes(Connection& origin) {
    auto passed = co_await client_boundary(origin);
    if (!passed) co_return passed.error();
    match_chunk_sizes(origin);
    auto to_client = co_await client_.flush(loop_.in(options_.stall_timeout));
    if (!to_client) co_return to_client.error();
    auto to_origin = co_await origin.flush(loop_.in(options_.stall_timeout));
    if (!to_origin) co_return to_origin.error();
    ChunkPipe down(origin.socket(), client_.socket(),
                   walker(origin, origin_stream_, request_.stream_id), origin.unread(),
                   options_.stall_timeout, context_.metrics.to_clients);
    ChunkPipe up(client_.socket(), origin.socket(),
                 walker(client_, request_.stream_id, origin_stream_), client_.unread(),
                 options_.stall_timeout, context_.metrics.to_upstreams);
    client_.release_buffer();
    origin.release_buffer();
    LiveSession live(
        facts(), [&up, &down] { return Traffic{.received = up.bytes(), .sent = down.bytes()}; },
        [this] { client_.socket().close(); });
    served_ = true;
    (publishes() ? up : down).on_first = [&live] { live.media_began(); };
    Cutoff cutoff(client_.socket(), origin.socket());
    std::optional<PublishRate> rate;
    if (publishes())
      rate.emplace(
          loop_, [&up] { return up.bytes(); },
          [this, &cutoff](Error why) {
            if (!first_end_) first_end_ = std::move(why);
            cutoff.now();
          });
    down_ = &down;
    Child upward(loop_);
    upward.start(run_pipe(up, cutoff, "client"));
    auto downward = run_pipe(down, cutoff, "origin");
    co_await downward;
    co_await upward.join();
    bytes_ = publishes() ? up.bytes() : down.bytes();
    grant_.count({.received = up.bytes(), .sent = down.bytes()});
    live.over(first_end_->code);
    co_return live.ended().value_or(*first_end_);
  }

  SessionFacts facts() const {
    return {.kind = publishes() ? SessionKind::Publish : SessionKind::Play,
            .protocol = "rtmp",
            .stream = key_,
            .peer = peer_,
            .upstream = upstream_,
            .agent = std::string(request_.property("flashVer")),
            .page_url = std::string(request_.property("pageUrl")),
            .request_id = id_,
            .asked = asked_,
            .expires = grant_.expires()};
  }

  // When one side has ended so does the other: at once if it broke, else after a moment for last
  // words.
  Task<void> run_pipe(ChunkPipe& pipe, Cutoff& cutoff, std::string side) {
    Error ended = co_await pipe.run();
    if (!first_end_) {
      first_end_ = {ended.code, side + ": " + ended.text};
      if (ended.code == Errc::Cancelled) ask_to_reconnect();
    }
    if (ended.code == Errc::Closed)
      cutoff.after(kLinger);
    else
      cutoff.now();
  }

  // This node, or the way to the origin, goes away; the stream does not.
  void ask_to_reconnect() {
    if (client_.socket().fd() < 0 || !rtmp::follows_reconnects(request_)) return;
    down_->farewell(rtmp::reconnect_request("Connect again.", down_->chunk_size()));
  }

  // A client may be inside a message when the verdict comes (a publisher that does not wait for
  // it).
  Task<Result<void>> client_boundary(Connection& origin) {
    while (!client_.reader().at_boundary()) {
      auto message = co_await client_.read(loop_.in(options_.stall_timeout));
      if (!message) co_return std::unexpected(message.error());
      rtmp::MessageHeader header = message->header;
      if (static_cast<int>(header.type) <= static_cast<int>(rtmp::Type::SetPeerBandwidth)) continue;
      if (header.stream_id == request_.stream_id) header.stream_id = origin_stream_;
      origin.send(header, message->payload);
      auto sent = co_await origin.flush(loop_.in(options_.stall_timeout));
      if (!sent) co_return sent;
    }
    co_return Result<void>{};
  }

  static rtmp::ChunkWalker walker(Connection& from, std::uint32_t stream_from,
                                  std::uint32_t stream_to) {
    return rtmp::ChunkWalker(
        from.reader(),
        {.stream_id_from = stream_from, .stream_id_to = stream_to, .on_command = {}});
  }

  void log_end(const Error& why) const {
    log::info("session ended", {{"id", id_},
                                {"peer", peer_.text()},
                                {"stream", key_},
                                {"protocol", "rtmp"},
                                {"kind", kind()},
                                {"upstream", upstream_},
                                {"bytes", bytes_},
                                {"reason", name(why.code)},
                                {"error", why.text}});
  }

  RtmpRelayContext context_;
  Loop& loop_;
  const RtmpRelayOptions& options_;
  Connection client_;
  Address peer_;
  Clock::time_point asked_;
  rtmp::Request request_;
  std::string id_;
  std::string key_;
  std::string upstream_;
  Grant grant_;
  std::uint32_t origin_stream_ = 0;
  std::optional<Kept> missing_;     // the first "not found" of a search
  bool answered_ = false;           // the client knows the verdict
  bool refused_ = false;            // and it was no
  bool served_ = false;             // it had a session
  ChunkPipe* down_ = nullptr;       // while bytes are moved
  std::optional<Error> first_end_;  // of the two directions, once bytes are moved
  std::uint64_t bytes_ = 0;
};

}  // namespace

Task<void> relay_rtmp(RtmpRelayContext context, std::unique_ptr<Socket> client,
                      std::shared_ptr<void> admission) {
  RtmpRelay relay(context, std::move(client));
  co_await relay.run();
  admission.reset();
}

}  // namespace weir
