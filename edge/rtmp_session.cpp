#include "edge/rtmp_session.h"

#include "common/io/pump.h"
#include "common/log.h"
#include "common/rtmp/server.h"
#include "proxy/access/access.h"
#include "proxy/access/access_requests.h"
#include "proxy/access/publish_rate.h"

namespace weir {

namespace {

constexpr std::chrono::seconds kLastWords{2};

class RtmpSession {
 public:
  RtmpSession(StreamHub& hub, std::unique_ptr<Socket> socket, std::shared_ptr<void> admission)
      : hub_(hub),
        loop_(hub.loop()),
        options_(hub.options()),
        connection_(
            std::make_unique<rtmp::Connection>(std::move(socket), setup_limits(hub.options()))),
        peer_(connection_->socket().peer()),
        asked_(loop_.now()),
        admission_(std::move(admission)) {}

  Task<void> run() {
    auto served = co_await serve();
    if (!served) log_end(served.error());
  }

 private:
  static rtmp::ReaderLimits setup_limits(const EdgeOptions& options) {
    rtmp::ReaderLimits limits = options.rtmp;
    limits.message = rtmp::kMaxSetupMessage;
    return limits;
  }

  // An error is why the client went; none when it became a viewer.
  Task<Result<void>> serve() {
    auto greeted = co_await connection_->accept(loop_.in(options_.handshake_timeout));
    if (!greeted) co_return greeted;
    auto request = co_await rtmp::serve_setup(*connection_, options_.window_ack,
                                              loop_.in(options_.request_timeout));
    if (!request) co_return std::unexpected(request.error());
    auto wanted = understand(*request);
    if (!wanted) {
      co_await refuse(*request, wanted.error());
      co_return std::unexpected(wanted.error());
    }
    if (Access* access = Access::current()) {
      auto permit = co_await access->may(access_of(*request, wanted->name, peer_, id_));
      if (!permit) {
        const Error why = permit.error().error();
        co_await refuse(*request, why);
        co_return std::unexpected(why);
      }
      grant_ = std::move(*permit);
    }
    auto ended = request->kind == rtmp::Request::Kind::Play ? view(*request, std::move(*wanted))
                                                            : publish(*request, std::move(*wanted));
    auto result = co_await ended;
    co_return result;
  }

  Result<StreamRequest> understand(const rtmp::Request& request) {
    const HopMark mark = hop_mark_of(request);
    id_ = mark.id;
    auto name = stream_from_rtmp(request.tc_url, request.app, request.stream);
    if (!name) return std::unexpected(name.error());
    key_ = name->key();
    auto next = next_hop(mark, options_.node_id, options_.max_hops);
    if (!next) return std::unexpected(next.error());
    return StreamRequest{.name = *name, .mark = *next, .arguments = request.arguments};
  }

  SessionFacts facts_of(const rtmp::Request& request) const {
    return {.kind = request.kind == rtmp::Request::Kind::Publish ? SessionKind::Publish
                                                                 : SessionKind::Play,
            .protocol = "rtmp",
            .stream = key_,
            .peer = peer_,
            .agent = std::string(request.property("flashVer")),
            .page_url = std::string(request.property("pageUrl")),
            .request_id = id_,
            .asked = asked_,
            .expires = grant_.expires()};
  }

  Task<void> refuse(const rtmp::Request& request, Error why) {
    LiveSession::refused(facts_of(request), why.code);
    rtmp::send_refusal(*connection_, request, why);
    auto told = co_await connection_->flush(loop_.in(kLastWords));
    if (told) co_await part(connection_->socket(), loop_.in(kLastWords));
  }

  Task<Result<void>> view(const rtmp::Request& request, StreamRequest wanted) {
    log::info("viewer asks",
              {{"id", id_}, {"peer", peer_.text()}, {"stream", key_}, {"protocol", "rtmp"}});
    auto fanout = co_await hub_.join(std::move(wanted), Format::Rtmp);
    if (!fanout) {
      co_await refuse(request, fanout.error());
      co_return std::unexpected(fanout.error());
    }
    rtmp::send_play_started(*connection_, rtmp::kMediaStreamId, request.stream);
    const ByteView unread = connection_->unread();
    Arrival arrival{.socket = nullptr,
                    .id = id_,
                    .reader = std::make_unique<rtmp::ChunkReader>(std::move(connection_->reader())),
                    .unread = ByteBuffer(unread.begin(), unread.end()),
                    .greeting = std::move(connection_->out()),
                    .admission = admission_,
                    .grant = std::move(grant_),
                    .agent = std::string(request.property("flashVer")),
                    .page_url = std::string(request.property("pageUrl")),
                    .asked = asked_,
                    .reconnects = rtmp::follows_reconnects(request)};
    arrival.socket = connection_->take_socket();
    (*fanout)->admit(Format::Rtmp, std::move(arrival));
    co_return Result<void>{};
  }

  Task<Result<void>> publish(const rtmp::Request& request, StreamRequest wanted) {
    log::info("publisher asks", {{"id", id_}, {"peer", peer_.text()}, {"stream", key_}});
    std::optional<Error> evicted;
    Socket& socket = connection_->socket();
    auto on_end = [&evicted, &socket](Error why) {
      evicted = std::move(why);
      socket.close();
    };
    auto publication = co_await hub_.publish(std::move(wanted), on_end);
    if (!publication) {
      co_await refuse(request, publication.error());
      co_return std::unexpected(publication.error());
    }
    rtmp::send_publish_started(*connection_, rtmp::kMediaStreamId, request.stream);
    auto started = co_await connection_->flush(loop_.in(options_.request_timeout));
    if (!started) co_return started;
    connection_->expect_media(options_.rtmp.message);
    LiveSession live(facts_of(request), socket);
    live_ = &live;
    const PublishRate rate(loop_, [this] { return bytes_; }, on_end);
    Error ended = co_await take_media(**publication);
    grant_.count({.received = bytes_});
    if (live.ended()) ended = *live.ended();
    if (evicted) ended = *evicted;
    live.over(ended.code);
    co_return std::unexpected(ended);
  }

  Task<Error> take_media(StreamHub::Publication& publication) {
    auto patience = options_.publisher_first_timeout;
    while (true) {
      auto message = co_await connection_->read(loop_.in(patience));
      if (!message) co_return message.error();
      const auto& header = message->header;
      switch (header.type) {
        case rtmp::Type::Audio:
        case rtmp::Type::Video:
        case rtmp::Type::DataAmf0:
          publication.ingest(
              {static_cast<flv::TagType>(header.type), header.timestamp_ms, message->payload});
          live_->media_began();
          bytes_ += message->payload.size();
          patience = options_.publisher_timeout;
          break;
        case rtmp::Type::CommandAmf0:
        case rtmp::Type::CommandAmf3: {
          auto left = leaving(*message);
          if (left) co_return *left;
          break;
        }
        default: break;
      }
    }
  }

  static std::optional<Error> leaving(const rtmp::Message& message) {
    auto values = rtmp::decode_command(message);
    if (!values) return values.error();
    const std::string_view command = values->empty() ? std::string_view{} : values->front().text();
    if (command == "FCUnpublish" || command == "deleteStream" || command == "closeStream")
      return Error{Errc::Closed, "publisher left"};
    return std::nullopt;
  }

  void log_end(const Error& why) const {
    // A client that only knocked, such as a health probe, is no news.
    if (key_.empty() && why.code == Errc::Closed) return;
    log::info("session ended", {{"id", id_},
                                {"peer", peer_.text()},
                                {"stream", key_},
                                {"protocol", "rtmp"},
                                {"bytes", bytes_},
                                {"reason", name(why.code)},
                                {"error", why.text}});
  }

  StreamHub& hub_;
  Loop& loop_;
  const EdgeOptions& options_;
  std::unique_ptr<rtmp::Connection> connection_;
  Address peer_;
  Clock::time_point asked_;
  LiveSession* live_ = nullptr;  // of a publisher
  std::shared_ptr<void> admission_;
  Grant grant_;
  std::string id_;
  std::string key_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Task<void> serve_rtmp(StreamHub& hub, std::unique_ptr<Socket> socket,
                      std::shared_ptr<void> admission) {
  RtmpSession session(hub, std::move(socket), std::move(admission));
  co_await session.run();
}

}  // namespace weir
