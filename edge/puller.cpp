#include "edge/puller.h"

#include <ranges>

#include "common/http/client_connection.h"
#include "common/io/backoff.h"
#include "common/log.h"
#include "common/rtmp/client.h"
#include "common/wire/http1_via.h"

namespace weir {

namespace {

constexpr std::string_view kUserAgent = "weir";

Errc reason_of(int http_status) {
  switch (http_status) {
    case 404:
    case 410: return Errc::NotFound;
    case 508: return Errc::Loop;
    default: return http_status < 500 ? Errc::Denied : Errc::Unavailable;
  }
}

std::vector<amf0::Value> connect_arguments(const StreamRequest& request, const Endpoint& endpoint) {
  amf0::Value object = rtmp::player_object(request.name, endpoint);
  object.set("fpad", false);
  object.set("capabilities", 15);
  object.set("audioCodecs", 4071);
  object.set("videoCodecs", 252);
  object.set("videoFunction", 1);
  set_hop_mark(object, request.mark);
  return {object};
}

}  // namespace

Puller::Puller(Context context, StreamRequest request)
    : context_(context), request_(std::move(request)), loop_(context.stream.loop()), stop_(loop_) {}

void Puller::stop() {
  stopped_ = true;
  if (socket_ != nullptr) socket_->close();
  stop_.notify();
}

Task<Error> Puller::run() {
  const EdgeOptions& options = context_.options;
  Backoff pauses(options.retry_min, options.retry_max);
  while (!stopped_) {
    refused_ = false;
    Error ended = co_await round();
    last_error_ = ended;
    if (stopped_ || ended.code == Errc::Cancelled) break;
    context_.metrics.pull_failed(name(ended.code));
    log::info("pull ended", {{"id", request_.mark.id},
                             {"stream", context_.stream.key()},
                             {"reason", name(ended.code)},
                             {"error", ended.text}});
    if (refused_ && !context_.stream.started()) break;
    if (progress_ == Progress::Media) pauses.reset();
    const Deadline again = loop_.in(pauses.next());
    auto waited = co_await stop_.wait(again);
    if (!waited && waited.error().code == Errc::Cancelled) break;
  }
  co_return last_error_.value_or(Error{Errc::Cancelled, "stopped"});
}

Protocol Puller::protocol() const {
  if (context_.options.pull == EdgeOptions::Pull::Flv || try_flv_) return Protocol::Http;
  return Protocol::Rtmp;
}

Task<Error> Puller::round() {
  co_await context_.routing.locate(context_.stream.key());
  const Protocol chosen = protocol();
  Dialer dialer(context_.routing, context_.resolver, context_.stream.key(), chosen,
                context_.options.dial);
  const bool avoiding = !avoid_.empty();
  if (avoiding) dialer.skip(std::exchange(avoid_, {}));
  while (!stopped_) {
    auto dialed = co_await dialer.next();
    if (!dialed) {
      // Nobody may be left because nobody speaks this protocol: the other one is next.
      const bool unspoken = dialed.error().code == Errc::Unavailable && !avoiding;
      if (unspoken && context_.options.pull == EdgeOptions::Pull::Auto) try_flv_ = !try_flv_;
      co_return dialed.error();
    }
    upstream_ = dialed->upstream->id;
    log::info("pull begins", {{"id", request_.mark.id},
                              {"stream", context_.stream.key()},
                              {"upstream", upstream_},
                              {"protocol", name(chosen)}});
    RouteUse use(context_.routing, context_.stream.key(), upstream_);
    context_.metrics.pulls.add();
    context_.metrics.pulls_now.Increment();
    Error ended = co_await pull(std::move(*dialed), chosen);
    const std::string upstream = std::exchange(upstream_, {});
    context_.metrics.pulls_now.Decrement();
    if (progress_ == Progress::Media || stopped_) {
      if (ended.code == Errc::Timeout) avoid_ = upstream;
      co_return ended;
    }
    dialer.reject(ended, Stage::Setup);
  }
  co_return Error{Errc::Cancelled, "stopped"};
}

Task<Error> Puller::pull(Dialed dialed, Protocol protocol) {
  progress_ = Progress::Nothing;
  socket_ = dialed.socket.get();
  auto pulling =
      protocol == Protocol::Rtmp ? pull_rtmp(std::move(dialed)) : pull_flv(std::move(dialed));
  Error ended = co_await pulling;
  socket_ = nullptr;
  co_return ended;
}

Deadline Puller::media_deadline() const {
  // With headers alone it may be the next keyframe that is waited for.
  const bool patient = progress_ == Progress::Headers;
  return loop_.in(patient ? context_.options.start_timeout : context_.options.source_timeout);
}

// Silence before any media says nothing about the upstream's health: it may wait for a publisher
// itself.
Error Puller::judge(const Error& error) const {
  if (error.code != Errc::Timeout || progress_ == Progress::Media) return error;
  return {Errc::NotFound, "upstream sent no media"};
}

Error Puller::refusal(Errc reason, std::string text) {
  refused_ = true;
  return {reason, std::move(text)};
}

void Puller::take(const flv::Tag& tag) {
  if (progress_ == Progress::Nothing) {
    context_.stream.begin_source();
    progress_ = Progress::Headers;
  }
  const auto role = context_.stream.ingest(tag);
  if (role != Gop::Role::Keyframe && role != Gop::Role::Media) return;
  if (std::exchange(progress_, Progress::Media) == Progress::Media) return;
  context_.routing.confirmed(context_.stream.key(), upstream_);
}

Task<Error> Puller::pull_rtmp(Dialed dialed) {
  rtmp::Connection connection(std::move(dialed.socket), context_.options.rtmp);
  const Deadline reply = loop_.in(context_.options.dial.reply_timeout);
  auto stream_id = co_await rtmp::open_stream(
      connection, connect_arguments(request_, dialed.endpoint), context_.options.window_ack, reply);
  if (!stream_id) co_return stream_id.error();
  rtmp::send_play(connection, *stream_id, rtmp_stream(request_.name));
  connection.expect_media(context_.options.rtmp.message);
  while (true) {
    auto message = co_await connection.read(media_deadline());
    if (!message) co_return judge(message.error());
    const auto& header = message->header;
    if (header.type == rtmp::Type::Audio || header.type == rtmp::Type::Video) {
      take({static_cast<flv::TagType>(header.type), header.timestamp_ms, message->payload});
    } else if (header.type == rtmp::Type::DataAmf0) {
      if (flv::is_metadata(message->payload))
        take({flv::TagType::Script, header.timestamp_ms, message->payload});
    } else if (auto verdict = rtmp::verdict_of(*message); verdict && verdict->error) {
      co_return refusal(verdict->reason(), verdict->code + " " + verdict->description);
    } else if (verdict && verdict->code == "NetStream.Play.UnpublishNotify") {
      co_return Error{progress_ == Progress::Media ? Errc::Closed : Errc::NotFound,
                      "upstream's publisher left"};
    }
  }
}

Task<Error> Puller::pull_flv(Dialed dialed) {
  http::Request request{.method = "GET", .target = http_path(request_.name, "flv")};
  const std::string host =
      request_.name.is_default_vhost() ? to_string(dialed.endpoint) : request_.name.vhost;
  request.headers.add("Host", host);
  request.headers.add("User-Agent", kUserAgent);
  request.headers.add("X-Request-Id", request_.mark.id);
  for (const auto part : std::views::split(request_.mark.hops, ','))
    http::add_cdn_loop(request.headers, std::string_view(part.begin(), part.end()));
  http::ClientConnection connection(std::move(dialed.socket));
  auto response = co_await connection.get(request, media_deadline());
  if (!response) co_return judge(response.error());
  if (response->status != 200)
    co_return refusal(reason_of(response->status),
                      "upstream answered " + std::to_string(response->status));
  flv::TagReader reader(context_.options.rtmp.message);
  while (true) {
    auto body = co_await connection.read_body(media_deadline());
    if (!body) co_return judge(body.error());
    ByteView input = *body;
    while (true) {
      auto tag = reader.next(input);
      if (!tag) co_return tag.error();
      if (!*tag) break;
      take(**tag);
    }
  }
}

}  // namespace weir
