// test/support/rtmp_peers.h
// Both ends of an RTMP conversation as tests script them: what is said, what was heard, and a server whose
// every answer the test chooses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/rtmp/client.h"
#include "test/support/loopback.h"

namespace weir::test {

using rtmp::Connection;
using Values = std::vector<amf0::Value>;

// A command or a data message, apart from its reader.
struct Words {
  Values values;
  std::uint32_t stream_id = 0;
  rtmp::Type type = rtmp::Type::CommandAmf0;

  std::string name() const { return values.empty() ? "" : std::string(values[0].text()); }
  double transaction() const { return values.size() > 1 ? values[1].number() : -1; }
  const amf0::Value& operator[](std::size_t index) const { return values.at(index); }
  // Of the first object that has one: "NetStream.Play.Start".
  std::string property(const std::string& which) const {
    for (const auto& value : values)
      if (const auto* found = value.find(which)) return std::string(found->text());
    return "";
  }
  std::string code() const { return property("code"); }
};

inline void say(Connection& to, const Words& words) {
  ByteBuffer payload;
  if (words.type == rtmp::Type::CommandAmf3) payload.push_back(0);
  for (const auto& value : words.values) amf0::encode(value, payload);
  to.send(
      {.chunk_stream = rtmp::kCommandChunkStream, .stream_id = words.stream_id, .type = words.type},
      payload);
}

inline Values connect_arguments(const std::string& app = "live") {
  auto object = amf0::Value::object();
  object.set("app", app);
  object.set("tcUrl", "rtmp://proxy.example/" + app);
  return {object};
}

inline Words connect_words() {
  Words words{.values = {"connect", 1}};
  for (auto& value : connect_arguments()) words.values.push_back(std::move(value));
  return words;
}

inline amf0::Value info(const std::string& level, const std::string& code,
                        const std::string& description = "") {
  auto object = amf0::Value::object();
  object.set("level", level);
  object.set("code", code);
  object.set("description", description);
  return object;
}

// What a test remembers of a message.
struct Kept {
  rtmp::MessageHeader header;
  ByteBuffer payload;
};

inline Words words_of(const rtmp::Message& message) {
  auto values = rtmp::decode_command(message);
  return {values ? std::move(*values) : Values{}, message.header.stream_id, message.header.type};
}

// The next command or data message of that name; without values when the conversation ended before.
inline Task<Words> hear(Connection& from, std::string name) {
  while (true) {
    auto message = co_await from.read(from.loop().in(kPatience));
    if (!message) co_return Words{};
    const bool data = message->header.type == rtmp::Type::DataAmf0;
    if (!rtmp::is_command(*message) && !data) continue;
    auto words = words_of(*message);
    if (words.name() == name) co_return words;
  }
}

// Reads on until the other side ends it, or `patience` has passed; says how it ended.
inline Task<Errc> hear_the_end(Connection& from, milliseconds patience = kPatience) {
  const Deadline deadline = from.loop().in(patience);
  while (true) {
    auto message = co_await from.read(deadline);
    if (!message) co_return message.error().code;
  }
}

// Appends every message to `kept` until the other side ends it.
inline Task<void> keep_all(Connection& from, std::vector<Kept>& kept) {
  while (true) {
    auto message = co_await from.read(from.loop().in(kPatience));
    if (!message) co_return;
    kept.push_back({message->header, {message->payload.begin(), message->payload.end()}});
  }
}

inline std::vector<Words> commands_among(const std::vector<Kept>& kept) {
  std::vector<Words> commands;
  for (const auto& [header, payload] : kept) {
    const rtmp::Message message{header, payload};
    if (rtmp::is_command(message)) commands.push_back(words_of(message));
  }
  return commands;
}

// The usual answers of a server; a test may replace them. Nothing waits for what is not answered.
struct ServerHabits {
  double stream_id = 7;
  std::uint32_t chunk_size = rtmp::kInitialChunkSize;  // announced before the answer to connect
  std::vector<std::uint32_t>* chunk_sizes = nullptr;   // gets those that the client announces
  // In place of the usual answers to a command, if it gives any.
  std::function<std::optional<std::vector<Words>>(const Words& command)> answer;
};

// Serves up to publish or play, and returns that; `heard` gets the commands before. Answers nothing but connect
// and createStream. Without values when the client left.
inline Task<Words> serve_by_habit(Connection& client, const ServerHabits& habits,
                                  std::vector<Words>& heard) {
  auto greeted = co_await client.accept(client.loop().in(kPatience));
  if (!greeted) co_return Words{};
  while (true) {
    auto message = co_await client.read(client.loop().in(kPatience));
    if (!message) co_return Words{};
    if (habits.chunk_sizes != nullptr && message->header.type == rtmp::Type::SetChunkSize)
      habits.chunk_sizes->push_back(client.reader().chunk_size());
    if (!rtmp::is_command(*message)) continue;
    const Words command = words_of(*message);
    if (command.name() == "connect" && habits.chunk_size != client.out_chunk_size())
      client.set_chunk_size(habits.chunk_size);
    auto answers = habits.answer ? habits.answer(command) : std::nullopt;
    if (!answers && command.name() == "connect") {
      const Values result{"_result", command.transaction(), nullptr,
                          info("status", "NetConnection.Connect.Success")};
      answers = {Words{.values = result}};
    } else if (!answers && command.name() == "createStream") {
      answers = {Words{.values = {"_result", command.transaction(), nullptr, habits.stream_id}}};
    }
    for (const auto& words : answers.value_or(std::vector<Words>{})) say(client, words);
    auto sent = co_await client.flush(client.loop().in(kPatience));
    if (!sent) co_return Words{};
    if (command.name() == "publish" || command.name() == "play") co_return command;
    heard.push_back(command);
  }
}

}  // namespace weir::test
