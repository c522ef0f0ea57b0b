#include "common/rtmp/server.h"

namespace weir::rtmp {

namespace {

using amf0::Value;

Value info_object(std::string_view level, std::string_view code, std::string_view description) {
  Value info = Value::object();
  info.set("level", level);
  info.set("code", code);
  info.set("description", description);
  return info;
}

void accept_connect(Connection& connection, const Request& request, double transaction,
                    std::uint32_t window_ack, std::uint32_t chunk_size) {
  append_window_ack_size(connection.out(), window_ack);
  append_set_peer_bandwidth(connection.out(), window_ack, PeerBandwidth::Dynamic);
  connection.set_chunk_size(chunk_size);
  Value server = Value::object();
  server.set("fmsVer", "FMS/3,5,7,7009");  // encoders look for a version from which FCPublish works
  server.set("capabilities", 31);
  Value info = info_object("status", "NetConnection.Connect.Success", "Connection succeeded.");
  const Value* encoding =
      request.connect.empty() ? nullptr : request.connect[0].find("objectEncoding");
  info.set("objectEncoding", encoding != nullptr ? encoding->number() : 0.0);
  connection.command(0, {"_result", transaction, server, info});
}

// Whatever asks for an answer and needs no decision of ours.
void answer(Connection& connection, std::string_view name, double transaction) {
  if (name == "createStream") {
    connection.command(0, {"_result", transaction, nullptr, static_cast<double>(kMediaStreamId)});
  } else if (name == "FCPublish" || name == "FCSubscribe") {
    const bool publish = name == "FCPublish";
    connection.command(
        0,
        {publish ? "onFCPublish" : "onFCSubscribe", 0, nullptr,
         info_object("status", publish ? "NetStream.Publish.Start" : "NetStream.Play.Start", "")});
    connection.command(0, {"_result", transaction, nullptr, Value::undefined()});
  } else if (name == "getStreamLength") {
    connection.command(0, {"_result", transaction, nullptr, 0});  // live streams have none
  } else if (transaction != 0) {
    connection.command(0, {"_result", transaction, nullptr, Value::undefined()});
  }
}

}  // namespace

std::string_view Request::property(std::string_view name) const {
  const Value* value = connect.empty() ? nullptr : connect[0].find(name);
  return value != nullptr ? value->text() : std::string_view{};
}

bool is_command(const Message& message) {
  return message.header.type == Type::CommandAmf0 || message.header.type == Type::CommandAmf3;
}

Result<std::vector<Value>> decode_command(const Message& message) {
  ByteView payload = message.payload;
  const bool amf3 =
      message.header.type == Type::CommandAmf3 || message.header.type == Type::DataAmf3;
  if (amf3 && !payload.empty() && payload[0] == 0) payload = payload.subspan(1);
  return amf0::decode(payload);
}

Task<Result<Request>> serve_setup(Connection& connection, std::uint32_t window_ack,
                                  Deadline deadline, std::uint32_t chunk_size) {
  Request request;
  bool connected = false;
  connection.reader().set_message_limit(kMaxSetupMessage);
  for (int commands = 0; commands < kMaxCommands;) {
    auto message = co_await connection.read(deadline);
    if (!message) co_return std::unexpected(message.error());
    if (!is_command(*message)) continue;
    ++commands;
    auto values = decode_command(*message);
    if (!values) co_return std::unexpected(values.error());
    if (values->empty() || !values->front().is_string())
      co_return fail(Errc::Protocol, "command without a name");
    const std::string name(values->front().text());
    const double transaction = values->size() > 1 ? (*values)[1].number() : 0;
    if (name == "connect" && !connected) {
      request.connect.assign(values->begin() + std::min<std::ptrdiff_t>(2, std::ssize(*values)),
                             values->end());
      request.app = request.property("app");
      request.tc_url = request.property("tcUrl");
      accept_connect(connection, request, transaction, window_ack, chunk_size);
      connected = true;
    } else if (!connected) {
      co_return fail(Errc::Protocol, "command before connect: " + name);
    } else if (name == "play" || name == "publish") {
      if (values->size() < 4 || !(*values)[3].is_string())
        co_return fail(Errc::Protocol, name + " without a stream name");
      request.kind = name == "play" ? Request::Kind::Play : Request::Kind::Publish;
      request.stream = (*values)[3].text();
      request.arguments.assign(values->begin() + 4, values->end());
      request.stream_id = message->header.stream_id;
      co_return request;
    } else {
      answer(connection, name, transaction);
    }
    auto sent = co_await connection.flush(deadline);
    if (!sent) co_return std::unexpected(sent.error());
  }
  co_return fail(Errc::Limit, "too many commands before publish or play");
}

void send_status(Connection& connection, std::uint32_t stream_id, std::string_view level,
                 std::string_view code, std::string_view description) {
  connection.command(stream_id, {"onStatus", 0, nullptr, info_object(level, code, description)});
}

ByteBuffer status_message(std::uint32_t stream_id, std::string_view level, std::string_view code,
                          std::string_view description, std::uint32_t chunk_size) {
  const ByteBuffer payload =
      amf0::encode_all({"onStatus", 0, nullptr, info_object(level, code, description)});
  const MessageHeader header{
      .chunk_stream = kCommandChunkStream, .stream_id = stream_id, .type = Type::CommandAmf0};
  ByteBuffer out(
      encoded_size(static_cast<std::uint32_t>(payload.size()), 0, header.chunk_stream, chunk_size));
  encode(out.data(), header, payload, chunk_size);
  return out;
}

ByteBuffer unpublish_messages(std::uint32_t stream_id) {
  ByteBuffer out =
      status_message(stream_id, "status", "NetStream.Play.UnpublishNotify", "Stream ended.");
  append_user_control(out, Event::StreamEof, stream_id);
  return out;
}

ByteBuffer reconnect_request(std::string_view description, std::uint32_t chunk_size) {
  return status_message(0, "status", "NetConnection.Connect.ReconnectRequest", description,
                        chunk_size);
}

bool follows_reconnects(const Request& request) {
  constexpr unsigned kReconnect = 0x01;  // E-RTMP v2, CapsExMask
  const Value* caps = request.connect.empty() ? nullptr : request.connect[0].find("capsEx");
  const double bits = caps != nullptr ? caps->number() : 0;
  return bits >= 1 && bits <= 0xffff && (static_cast<unsigned>(bits) & kReconnect) != 0;
}

void send_play_started(Connection& connection, std::uint32_t stream_id, std::string_view stream) {
  connection.user_control(Event::StreamBegin, stream_id);
  const std::string description = "Playing " + std::string(stream) + ".";
  send_status(connection, stream_id, "status", "NetStream.Play.Reset", description);
  send_status(connection, stream_id, "status", "NetStream.Play.Start", description);
  connection.send(
      {.chunk_stream = kDataChunkStream, .stream_id = stream_id, .type = Type::DataAmf0},
      amf0::encode_all({"|RtmpSampleAccess", true, true}));
}

void send_publish_started(Connection& connection, std::uint32_t stream_id,
                          std::string_view stream) {
  connection.user_control(Event::StreamBegin, stream_id);
  send_status(connection, stream_id, "status", "NetStream.Publish.Start",
              "Publishing " + std::string(stream) + ".");
}

namespace {

std::string_view refusal_code(Request::Kind kind, Errc reason) {
  if (kind == Request::Kind::Publish) {
    return reason == Errc::Busy ? "NetStream.Publish.BadName" : "NetStream.Publish.Denied";
  }
  return reason == Errc::NotFound ? "NetStream.Play.StreamNotFound" : "NetStream.Play.Failed";
}

}  // namespace

void send_refusal(Connection& connection, const Request& request, const Error& why) {
  Value info = info_object("error", refusal_code(request.kind, why.code), why.text);
  info.set(std::string(kReasonProperty), name(why.code));
  connection.command(request.stream_id, {"onStatus", 0, nullptr, info});
}

}  // namespace weir::rtmp
