#include "common/rtmp/client.h"

#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "test/support/rtmp_peers.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct Opened {
  Result<std::uint32_t> stream = fail(Errc::System, "not tried");
  std::vector<Words> heard;  // by the server
};

Task<void> open_against(Loop& loop, const ServerHabits& habits, Values connect,
                        milliseconds patience, Opened& opened) {
  auto ends = socket_pair(loop);
  Connection client(std::move(ends[0]));
  Connection server(std::move(ends[1]));
  auto serve = [](Connection& at, const ServerHabits& as, std::vector<Words>& heard) -> Task<void> {
    auto asked = co_await serve_by_habit(at, as, heard);
    static_cast<void>(asked);
  };
  Child serving(loop);
  serving.start(serve(server, habits, opened.heard));
  opened.stream =
      co_await rtmp::open_stream(client, std::move(connect), 2'500'000, loop.in(patience));
  client.socket().close();
  co_await serving.join();
}

Opened open_stream(const ServerHabits& habits, Values connect = connect_arguments(),
                   milliseconds patience = kPatience) {
  Loop loop;
  Opened opened;
  run(loop, open_against(loop, habits, std::move(connect), patience, opened));
  return opened;
}

// Answers one command with these words, and all others as usual.
ServerHabits that_answers(const std::string& command, std::vector<Words> answers) {
  ServerHabits habits;
  habits.answer = [=](const Words& words) -> std::optional<std::vector<Words>> {
    if (words.name() == command) return answers;
    return std::nullopt;
  };
  return habits;
}

Words result(double transaction, amf0::Value last = nullptr) {
  return {.values = {"_result", transaction, nullptr, std::move(last)}};
}

rtmp::Verdict verdict_from(Values values, bool& found) {
  ByteBuffer payload;
  for (const auto& value : values) amf0::encode(value, payload);
  const rtmp::Message message{.header = {.type = rtmp::Type::CommandAmf0}, .payload = payload};
  const auto verdict = rtmp::verdict_of(message);
  found = verdict.has_value();
  return verdict.value_or(rtmp::Verdict{});
}

std::vector<Words> sent_by(Connection& connection) {
  std::vector<Words> commands;
  rtmp::ChunkReader reader;
  ByteView sent = connection.out();
  while (true) {
    auto message = reader.next(sent);
    if (!message || !*message) return commands;
    if (rtmp::is_command(**message)) commands.push_back(words_of(**message));
  }
}

}  // namespace

TEST_CASE("open_stream gives the id that the server chose", "[rtmp][client]") {
  const double id = GENERATE(0.0, 1.0, 7.0, 4294967295.0);
  const Opened opened = open_stream({.stream_id = id, .chunk_size = 4096, .answer = {}});
  REQUIRE(opened.stream);
  CHECK(*opened.stream == static_cast<std::uint32_t>(id));
}

TEST_CASE("open_stream sends the arguments of connect whole, and asks for nothing else",
          "[rtmp][client]") {
  Values connect = connect_arguments();
  connect[0].set("unheardOf", amf0::Value::strict_array({1, "two"}));
  connect.push_back("user");
  const Opened opened = open_stream({}, connect);
  REQUIRE(opened.stream);
  REQUIRE(opened.heard.size() == 2);
  CHECK(opened.heard[0].name() == "connect");
  CHECK(Values(opened.heard[0].values.begin() + 2, opened.heard[0].values.end()) == connect);
  CHECK(opened.heard[1].name() == "createStream");
}

TEST_CASE("a server that refuses connect is quoted", "[rtmp][client]") {
  const Opened opened = open_stream(that_answers(
      "connect", {{.values = {"_error", 1, nullptr,
                              info("error", "NetConnection.Connect.Rejected", "no such app")}}}));
  REQUIRE_FALSE(opened.stream);
  CHECK(opened.stream.error().code == Errc::Denied);
  CHECK(opened.stream.error().text == "NetConnection.Connect.Rejected no such app");
}

TEST_CASE("a server that refuses without giving a reason has refused all the same",
          "[rtmp][client]") {
  const Words answer = GENERATE(Words{.values = {"_error", 1}}, Words{.values = {"close", 0}});
  CHECK(open_stream(that_answers("connect", {answer})).stream.error().code == Errc::Denied);
}

TEST_CASE("a server that refuses createStream is quoted", "[rtmp][client]") {
  const Opened opened = open_stream(that_answers(
      "createStream",
      {{.values = {"_error", 4, nullptr, info("error", "NetConnection.Call.Failed", "full")}}}));
  REQUIRE_FALSE(opened.stream);
  CHECK(opened.stream.error().code == Errc::Denied);
  CHECK(opened.stream.error().text.find("full") != std::string::npos);
}

TEST_CASE("createStream must give a number that can be a stream", "[rtmp][client]") {
  const amf0::Value id =
      GENERATE(amf0::Value("7"), amf0::Value(nullptr), amf0::Value(-1), amf0::Value(4294967296.0),
               amf0::Value(std::numeric_limits<double>::infinity()), amf0::Value(true));
  CHECK(open_stream(that_answers("createStream", {result(4, id)})).stream.error().code ==
        Errc::Protocol);
}

TEST_CASE("a stream that is not a number is none", "[rtmp][client]") {
  const amf0::Value id(std::numeric_limits<double>::quiet_NaN());
  const Opened opened = open_stream(that_answers("createStream", {result(4, id)}));
  REQUIRE_FALSE(opened.stream);
  CHECK(opened.stream.error().code == Errc::Protocol);
}

TEST_CASE("createStream's answer without an id is none", "[rtmp][client]") {
  CHECK(
      open_stream(that_answers("createStream", {{.values = {"_result", 4}}})).stream.error().code ==
      Errc::Protocol);
}

TEST_CASE("what a server says unasked is passed over", "[rtmp][client]") {
  const std::vector<Words> chatter{
      {.values = {"onBWDone", 0, nullptr, 8192}},
      {.values = {"_result", 99, nullptr, 5}},
      {.values = {"onStatus", 0, nullptr, info("status", "NetConnection.Whatever")}},
      {.values = {"alone"}},
      {.values = {}},
      {.values = {"onMetaData"}, .type = rtmp::Type::DataAmf0}};
  auto answers = chatter;
  answers.push_back(result(1));
  CHECK(open_stream(that_answers("connect", answers)).stream == 7u);
}

TEST_CASE("a server that talks on and on without answering is given up", "[rtmp][client]") {
  const int more = GENERATE(0, 1);
  std::vector<Words> answers(static_cast<std::size_t>(rtmp::kMaxReplies - 1 + more),
                             {.values = {"onBWDone", 0}});
  answers.push_back(result(1));
  const Opened opened = open_stream(that_answers("connect", answers));
  CHECK(opened.stream.has_value() == (more == 0));
  if (more == 1) CHECK(opened.stream.error().code == Errc::Protocol);
}

TEST_CASE("a server that stays silent is given up at the deadline", "[rtmp][client]") {
  const std::string unanswered = GENERATE("connect", "createStream");
  CHECK(open_stream(that_answers(unanswered, {}), connect_arguments(), 50ms).stream.error().code ==
        Errc::Timeout);
}

TEST_CASE("a server that never shakes hands is given up at the deadline", "[rtmp][client]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = socket_pair(on);
    Connection client(std::move(ends[0]));
    auto opened = co_await rtmp::open_stream(client, connect_arguments(), 1000, on.in(30ms));
    CHECK(opened.error().code == Errc::Timeout);
  };
  run(loop, body(loop));
}

TEST_CASE("publishing announces the stream without its arguments, and publishes with them",
          "[rtmp][client]") {
  Loop loop;
  auto ends = socket_pair(loop);
  Connection client(std::move(ends[0]));
  rtmp::send_publish(client, 7, "cam?token=1&x=2", {"record", 5});
  const auto sent = sent_by(client);
  REQUIRE(sent.size() == 3);
  CHECK(sent[0].values == Values{"releaseStream", 2, nullptr, "cam"});
  CHECK(sent[1].values == Values{"FCPublish", 3, nullptr, "cam"});
  CHECK(sent[2].values == Values{"publish", 5, nullptr, "cam?token=1&x=2", "record", 5});
  CHECK(sent[2].stream_id == 7);
}

TEST_CASE("publishing is live unless something else is said", "[rtmp][client]") {
  Loop loop;
  auto ends = socket_pair(loop);
  Connection client(std::move(ends[0]));
  rtmp::send_publish(client, 1, "cam");
  CHECK(sent_by(client).back().values == Values{"publish", 5, nullptr, "cam", "live"});
}

TEST_CASE("playing sends the arguments as they are", "[rtmp][client]") {
  Loop loop;
  auto ends = socket_pair(loop);
  Connection client(std::move(ends[0]));
  rtmp::send_play(client, 7, "cam?token=1", {-2000, -1, true});
  const auto sent = sent_by(client);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].values == Values{"play", 0, nullptr, "cam?token=1", -2000, -1, true});
  CHECK(sent[0].stream_id == 7);
}

TEST_CASE("a verdict is told from its level and code", "[rtmp][client]") {
  const auto [level, code, reason] = GENERATE(table<std::string, std::string, Errc>({
      {"error", "NetStream.Play.StreamNotFound", Errc::NotFound},
      {"error", "NetStream.Publish.BadName", Errc::Busy},
      {"error", "NetStream.Publish.Denied", Errc::Denied},
      {"error", "NetConnection.Connect.Rejected", Errc::Denied},
      {"error", "NetStream.Publish.Unauthorized", Errc::Denied},
      {"error", "NetStream.Play.Failed", Errc::Unavailable},
      {"status", "NetStream.Play.Start", Errc::Unavailable},
  }));
  bool found = false;
  const auto verdict = verdict_from({"onStatus", 0, nullptr, info(level, code, "why")}, found);
  REQUIRE(found);
  CHECK(verdict.error == (level == "error"));
  CHECK(verdict.code == code);
  CHECK(verdict.description == "why");
  CHECK(verdict.reason() == reason);
}

TEST_CASE("_error is a verdict whatever its level, and other commands are none", "[rtmp][client]") {
  bool found = false;
  CHECK(verdict_from({"_error", 5, nullptr, info("status", "NetConnection.Call.Failed")}, found)
            .error);
  CHECK(found);
  CHECK(verdict_from({"_error", 5}, found).error);
  CHECK(found);
  for (const Values& other : {Values{"_result", 5, nullptr, info("error", "X")},
                              Values{"onFCPublish", 0}, Values{}, Values{7}, Values{nullptr}}) {
    verdict_from(other, found);
    CHECK_FALSE(found);
  }
}

TEST_CASE("a request that came back to a weir is known by its reason", "[rtmp][client]") {
  auto object = info("error", "NetStream.Play.Failed");
  object.set(std::string(rtmp::kReasonProperty), name(Errc::Loop));
  bool found = false;
  const auto verdict = verdict_from({"onStatus", 0, nullptr, object}, found);
  CHECK(verdict.loop);
  CHECK(verdict.reason() == Errc::Loop);
}
