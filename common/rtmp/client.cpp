#include "common/rtmp/client.h"

namespace weir::rtmp {

namespace {

using amf0::Value;

constexpr double kConnectTransaction = 1;
constexpr double kReleaseStreamTransaction = 2;
constexpr double kFcPublishTransaction = 3;
constexpr double kCreateStreamTransaction = 4;
constexpr double kPublishTransaction = 5;

std::string text_of(const Value* value) {
  return value != nullptr ? std::string(value->text()) : std::string();
}

// The values of the reply to `transaction`. Errors: Denied when the server says _error.
Task<Result<std::vector<Value>>> reply_to(Connection& connection, double transaction,
                                          Deadline deadline) {
  for (int messages = 0; messages < kMaxReplies; ++messages) {
    auto message = co_await connection.read(deadline);
    if (!message) co_return std::unexpected(message.error());
    if (!is_command(*message)) continue;
    auto values = decode_command(*message);
    if (!values) co_return std::unexpected(values.error());
    if (values->size() < 2) continue;
    const std::string_view name = (*values)[0].text();
    if (name != "_result" && name != "_error" && name != "close") continue;
    if (name == "_result" && (*values)[1].number() != transaction) continue;
    if (name == "_result") co_return std::move(*values);
    auto verdict = verdict_of(*message);
    co_return fail(Errc::Denied,
                   verdict ? verdict->code + " " + verdict->description : "closed by the server");
  }
  co_return fail(Errc::Protocol, "no reply among many messages");
}

void append_values(ByteBuffer& out, const std::vector<Value>& values) {
  for (const auto& value : values) amf0::encode(value, out);
}

void send_command(Connection& connection, std::uint32_t stream_id, ByteView payload) {
  connection.send(
      {.chunk_stream = kCommandChunkStream, .stream_id = stream_id, .type = Type::CommandAmf0},
      payload);
}

// Arguments belong to the stream's name only where the server takes it apart.
std::string_view without_arguments(std::string_view stream) {
  return stream.substr(0, stream.find('?'));
}

}  // namespace

Value player_object(const StreamName& name, const Endpoint& server) {
  Value object = Value::object();
  object.set("app", name.app);
  object.set("flashVer", "LNX 9,0,124,2");  // what servers expect of a player
  object.set("tcUrl", tc_url(name, to_string(server)));
  return object;
}

Task<Result<std::uint32_t>> open_stream(Connection& connection, std::vector<Value> connect,
                                        std::uint32_t window_ack, Deadline deadline,
                                        std::uint32_t chunk_size) {
  auto greeted = co_await connection.greet(deadline);
  if (!greeted) co_return std::unexpected(greeted.error());
  append_window_ack_size(connection.out(), window_ack);
  connection.set_chunk_size(chunk_size);
  ByteBuffer payload = amf0::encode_all({"connect", kConnectTransaction});
  append_values(payload, connect);
  send_command(connection, 0, payload);
  auto granted = co_await reply_to(connection, kConnectTransaction, deadline);
  if (!granted) co_return std::unexpected(granted.error());
  connection.command(0, {"createStream", kCreateStreamTransaction, nullptr});
  auto created = co_await reply_to(connection, kCreateStreamTransaction, deadline);
  if (!created) co_return std::unexpected(created.error());
  const double id = created->size() > 3 ? (*created)[3].number(-1) : -1;
  if (!(id >= 0 && id <= 4294967295.0))
    co_return fail(Errc::Protocol, "createStream gave no stream");
  co_return static_cast<std::uint32_t>(id);
}

void send_play(Connection& connection, std::uint32_t stream_id, std::string_view stream,
               const std::vector<Value>& arguments) {
  ByteBuffer payload = amf0::encode_all({"play", 0, nullptr, stream});
  append_values(payload, arguments);
  send_command(connection, stream_id, payload);
  append_set_buffer_length(connection.out(), stream_id, 1000);
}

void send_publish(Connection& connection, std::uint32_t stream_id, std::string_view stream,
                  const std::vector<Value>& arguments) {
  connection.command(
      0, {"releaseStream", kReleaseStreamTransaction, nullptr, without_arguments(stream)});
  connection.command(0, {"FCPublish", kFcPublishTransaction, nullptr, without_arguments(stream)});
  ByteBuffer payload = amf0::encode_all({"publish", kPublishTransaction, nullptr, stream});
  if (arguments.empty())
    append_values(payload, {"live"});
  else
    append_values(payload, arguments);
  send_command(connection, stream_id, payload);
}

Errc Verdict::reason() const {
  if (loop) return Errc::Loop;
  if (code.ends_with("NotFound")) return Errc::NotFound;
  if (code.ends_with("BadName")) return Errc::Busy;
  if (code.ends_with("Denied") || code.ends_with("Rejected") || code.ends_with("Unauthorized"))
    return Errc::Denied;
  return Errc::Unavailable;
}

std::optional<Verdict> verdict_of(const Message& message) {
  if (!is_command(message)) return std::nullopt;
  auto values = decode_command(message);
  if (!values || values->empty()) return std::nullopt;
  const std::string_view command = values->front().text();
  if (command != "onStatus" && command != "_error") return std::nullopt;
  Verdict verdict;
  verdict.error = verdict.reply = command == "_error";
  const double transaction = values->size() > 1 ? (*values)[1].number() : 0;
  const bool courtesy =
      transaction == kReleaseStreamTransaction || transaction == kFcPublishTransaction;
  if (verdict.reply && courtesy) return std::nullopt;  // some servers do not know these commands
  for (const auto& value : *values) {
    if (value.find("code") == nullptr) continue;
    verdict.code = text_of(value.find("code"));
    verdict.description = text_of(value.find("description"));
    verdict.loop = text_of(value.find(kReasonProperty)) == name(Errc::Loop);
    verdict.error = verdict.error || text_of(value.find("level")) == "error";
  }
  return verdict;
}

}  // namespace weir::rtmp
