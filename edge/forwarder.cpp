#include "edge/forwarder.h"

#include "common/io/child.h"
#include "common/log.h"
#include "common/rtmp/client.h"

namespace weir {

namespace {

constexpr std::size_t kMaxPieces = 16;

std::vector<amf0::Value> connect_arguments(const StreamRequest& request, const Endpoint& endpoint) {
  amf0::Value object = amf0::Value::object();
  object.set("app", request.name.app);
  object.set("type", "nonprivate");
  object.set("flashVer", "FMLE/3.0 (compatible; weir)");  // what servers expect of a publisher
  object.set("tcUrl", tc_url(request.name, to_string(endpoint)));
  set_hop_mark(object, request.mark);
  return {object};
}

// What an upstream says of the stream rather than of itself: another one would say no different.
bool concerns_stream(Errc reason) {
  return reason == Errc::Busy || reason == Errc::Denied || reason == Errc::Loop;
}

}  // namespace

Forwarder::Forwarder(Context context, StreamRequest request)
    : context_(context),
      request_(std::move(request)),
      loop_(context.stream.loop()),
      changed_(loop_) {}

void Forwarder::stop() {
  stopped_ = true;
  if (socket_ != nullptr) socket_->close();
  changed_.notify();
}

void Forwarder::decide(Result<void> verdict) {
  if (verdict_) return;
  verdict_ = std::move(verdict);
  changed_.notify();
}

Task<Result<void>> Forwarder::accepted(Deadline deadline) {
  while (!verdict_) {
    auto changed = co_await changed_.wait(deadline);
    if (!changed) co_return changed;
  }
  co_return *verdict_;
}

Task<Error> Forwarder::run() {
  milliseconds pause = context_.options.retry_min;
  Error ended{Errc::Cancelled, "stopped"};
  while (!stopped_) {
    Dialer dialer(context_.routing, context_.resolver, context_.stream.key(), Protocol::Rtmp,
                  context_.options.dial);
    auto dialed = co_await dialer.next();
    while (dialed && !stopped_) {
      ended = co_await publish(dialer, std::move(*dialed));
      if (stopped_ || verdict_) break;
      dialer.reject(ended, Stage::Setup);
      if (concerns_stream(ended.code)) break;
      dialed = co_await dialer.next();
    }
    if (!dialed) ended = dialed.error();
    if (stopped_ || ended.code == Errc::Cancelled) break;
    log::warn("forwarding ended", {{"id", request_.mark.id},
                                   {"stream", context_.stream.key()},
                                   {"reason", name(ended.code)},
                                   {"error", ended.text}});
    if (!verdict_ || concerns_stream(ended.code)) break;
    const Deadline again = loop_.in(pause);
    pause = std::min(pause * 2, context_.options.retry_max);
    auto waited = co_await changed_.wait(again);
    if (!waited && waited.error().code == Errc::Cancelled) break;
  }
  decide(std::unexpected(ended));
  co_return ended;
}

Task<Error> Forwarder::publish(Dialer& dialer, Dialed dialed) {
  rtmp::Connection connection(std::move(dialed.socket), context_.options.rtmp);
  socket_ = &connection.socket();
  RouteUse use(
      context_.routing, context_.stream.key(), dialed.upstream->id,
      [&socket = connection.socket()] { socket.close(); }, Purpose::Publish);
  std::uint32_t stream_id = 0;
  auto opened = co_await open(connection, dialed.endpoint, stream_id);
  Error ended{Errc::Cancelled, "stopped"};
  if (!opened) {
    ended = opened.error();
  } else {
    dialer.accept();
    log::info("forwarding begins", {{"id", request_.mark.id},
                                    {"stream", context_.stream.key()},
                                    {"upstream", dialed.upstream->id}});
    decide({});
    refusal_.reset();
    Child watcher(loop_);
    watcher.start(watch(connection));
    ended = co_await send_log(connection, stream_id);
    connection.socket().close();
    co_await watcher.join();
    if (refusal_) ended = *refusal_;
  }
  socket_ = nullptr;
  co_return ended;
}

Task<Result<void>> Forwarder::open(rtmp::Connection& connection, const Endpoint& endpoint,
                                   std::uint32_t& stream_id) {
  const Deadline reply = loop_.in(context_.options.dial.reply_timeout);
  auto created = co_await rtmp::open_stream(connection, connect_arguments(request_, endpoint),
                                            context_.options.window_ack, reply);
  if (!created) co_return std::unexpected(created.error());
  stream_id = *created;
  rtmp::send_publish(connection, stream_id, rtmp_stream(request_.name), request_.arguments);
  for (int messages = 0; messages < rtmp::kMaxReplies; ++messages) {
    auto message = co_await connection.read(reply);
    if (!message) co_return std::unexpected(message.error());
    auto verdict = rtmp::verdict_of(*message);
    if (!verdict) continue;
    if (verdict->error)
      co_return fail(verdict->reason(), verdict->code + " " + verdict->description);
    if (verdict->code == "NetStream.Publish.Start") co_return Result<void>{};
  }
  co_return fail(Errc::Protocol, "no answer to publish among many messages");
}

// Reads what the upstream says, so that its pings are answered and its refusal is heard.
Task<void> Forwarder::watch(rtmp::Connection& connection) {
  while (true) {
    auto message = co_await connection.read_beside_writer(Deadline::max());
    if (!message) {
      if (message.error().code != Errc::Cancelled) refusal_ = message.error();
      break;
    }
    if (!connection.out().empty()) context_.stream.added().notify();
    auto verdict = rtmp::verdict_of(*message);
    if (!verdict || !verdict->error || verdict->code.empty()) continue;
    refusal_ = Error{verdict->reason(), verdict->code + " " + verdict->description};
    break;
  }
  connection.socket().close();
  context_.stream.added().notify();
}

Task<Error> Forwarder::send_log(rtmp::Connection& connection, std::uint32_t stream_id) {
  Stream& stream = context_.stream;
  std::optional<Cursor> cursor;
  // A server that numbers its streams otherwise gets a copy with its own number in it.
  rtmp::ChunkWalker walker(
      context_.options.rtmp, rtmp::kOutChunkSize,
      {.stream_id_from = rtmp::kMediaStreamId, .stream_id_to = stream_id, .on_command = {}});
  const bool copied = stream_id != rtmp::kMediaStreamId;
  while (connection.socket().is_open() && !stopped_) {
    const LogView view = stream.view(Format::Rtmp);
    if (!cursor && view.keyframe) cursor = Cursor::start(view);
    if (!connection.out().empty() && !(cursor && cursor->inside_message())) {
      auto answered = co_await connection.flush(write_deadline());
      if (!answered) co_return answered.error();
    }
    std::array<iovec, kMaxPieces> room;
    bool jumped = false;
    const std::size_t count = cursor ? cursor->pieces(view, room, jumped) : 0;
    if (count == 0) {
      auto added = co_await stream.added().wait(Deadline::max());
      if (!added) co_return added.error();
      continue;
    }
    const auto pieces = std::span(room).first(count);
    auto sending = copied ? send_copy(connection.socket(), walker, pieces[0])
                          : send(connection.socket(), pieces);
    auto sent = co_await sending;
    if (!sent) co_return sent.error();
    cursor->advance(view, *sent);
  }
  co_return Error{Errc::Cancelled, "stopped"};
}

Deadline Forwarder::write_deadline() const { return loop_.in(context_.options.source_timeout); }

// What the kernel takes of the pieces, at least something.
Task<Result<std::size_t>> Forwarder::send(Socket& socket, std::span<const iovec> pieces) {
  while (true) {
    auto sent = socket.try_write(pieces);
    if (!sent || *sent > 0) co_return sent;
    auto writable = co_await socket.writable(write_deadline());
    if (!writable) co_return std::unexpected(writable.error());
  }
}

// All of one piece.
Task<Result<std::size_t>> Forwarder::send_copy(Socket& socket, rtmp::ChunkWalker& walker,
                                               iovec piece) {
  const auto* bytes = static_cast<const std::uint8_t*>(piece.iov_base);
  ByteBuffer copy(bytes, bytes + piece.iov_len);
  rtmp::Pieces patched;
  auto walked = walker.walk(copy, patched);
  if (!walked) co_return std::unexpected(walked.error());
  for (std::size_t i = 0; i < patched.size(); ++i) {
    auto sent = co_await socket.write(patched[i], write_deadline());
    if (!sent) co_return std::unexpected(sent.error());
  }
  co_return copy.size();
}

}  // namespace weir
