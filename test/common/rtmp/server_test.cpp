#include "common/rtmp/server.h"

#include <catch2/catch.hpp>

#include "common/io/child.h"
#include "test/support/rtmp_peers.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kWindow = 2'500'000;

// What a client said until it was asked no more, and what each side made of it.
struct Talk {
  Result<rtmp::Request> request = fail(Errc::System, "not served");
  std::vector<Kept> heard;
  std::vector<Words> commands() const { return commands_among(heard); }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& words : commands()) all.push_back(words.name());
    return all;
  }
  // The answer to a transaction; without values when there was none.
  Words answer_to(double transaction) const {
    for (const auto& words : commands())
      if (words.name() == "_result" && words.transaction() == transaction) return words;
    return {};
  }
};

Task<void> listen_to(Connection& client, std::vector<Kept>& heard) {
  co_await keep_all(client, heard);
}

Task<void> hold_talk(Loop& loop, ByteBuffer said, Talk& talk, milliseconds patience) {
  auto ends = socket_pair(loop);
  Connection server(std::move(ends[0]));
  Connection client(std::move(ends[1]));
  Child listening(loop);
  auto client_side = [](Connection& from, ByteBuffer bytes,
                        std::vector<Kept>& heard) -> Task<void> {
    auto greeted = co_await from.greet(from.loop().in(kPatience));
    if (!greeted) co_return;
    append(from.out(), bytes);
    auto sent = co_await from.flush(from.loop().in(kPatience));
    static_cast<void>(sent);  // a server may leave early
    co_await listen_to(from, heard);
  };
  listening.start(client_side(client, std::move(said), talk.heard));
  auto accepted = co_await server.accept(loop.in(kPatience));
  CHECK(accepted);
  auto request = co_await rtmp::serve_setup(server, kWindow, loop.in(patience));
  talk.request = std::move(request);
  auto told = co_await server.flush(loop.in(kPatience));
  static_cast<void>(told);
  server.socket().close();
  co_await listening.join();
}

ByteBuffer in_chunks(const std::vector<Words>& said) {
  // A writer of its own, as the conversation starts with chunks of 128 bytes.
  rtmp::ChunkWriter writer;
  ByteBuffer out;
  for (const auto& words : said) {
    ByteBuffer payload;
    if (words.type == rtmp::Type::CommandAmf3) payload.push_back(0);
    for (const auto& value : words.values) amf0::encode(value, payload);
    writer.append(out, {.chunk_stream = 3, .stream_id = words.stream_id, .type = words.type},
                  payload);
  }
  return out;
}

Talk talk_raw(ByteBuffer said, milliseconds patience = kPatience) {
  Loop loop;
  Talk talk;
  run(loop, hold_talk(loop, std::move(said), talk, patience));
  return talk;
}
Talk talk_of(const std::vector<Words>& said, milliseconds patience = kPatience) {
  return talk_raw(in_chunks(said), patience);
}

Words play_words(const std::string& stream = "cam") {
  return {.values = {"play", 0, nullptr, stream}, .stream_id = 1};
}

std::vector<Words> with(std::vector<Words> said, const Words& last) {
  said.push_back(last);
  return said;
}

std::size_t count(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::ranges::count(names, name));
}

}  // namespace

TEST_CASE("ffmpeg publishes: everything it asks before is answered", "[rtmp][server]") {
  const Talk talk =
      talk_of({connect_words(),
               {.values = {"releaseStream", 2, nullptr, "cam"}},
               {.values = {"FCPublish", 3, nullptr, "cam"}},
               {.values = {"createStream", 4, nullptr}},
               {.values = {"_checkbw", 5, nullptr}},
               {.values = {"publish", 6, nullptr, "cam?token=1", "live"}, .stream_id = 1}});
  REQUIRE(talk.request);
  CHECK(talk.request->kind == rtmp::Request::Kind::Publish);
  CHECK(talk.request->app == "live");
  CHECK(talk.request->tc_url == "rtmp://proxy.example/live");
  CHECK(talk.request->stream == "cam?token=1");
  CHECK(talk.request->stream_id == 1);
  CHECK(talk.request->arguments == Values{"live"});
  CHECK(talk.answer_to(1).code() == "NetConnection.Connect.Success");
  for (int transaction = 2; transaction <= 5; ++transaction)
    CHECK(talk.answer_to(transaction).values.size() == 4);
  CHECK(talk.answer_to(4)[3].number() == rtmp::kMediaStreamId);
  CHECK(count(talk.names(), "onFCPublish") == 1);
  CHECK(count(talk.names(), "onStatus") == 0);
}

TEST_CASE("the answer to connect announces window, bandwidth and chunk size first",
          "[rtmp][server]") {
  const Talk talk = talk_of({connect_words(), play_words()});
  REQUIRE(talk.request);
  REQUIRE(talk.heard.size() >= 4);
  CHECK(talk.heard[0].header.type == rtmp::Type::WindowAckSize);
  CHECK(load_be32(talk.heard[0].payload.data()) == kWindow);
  CHECK(talk.heard[1].header.type == rtmp::Type::SetPeerBandwidth);
  CHECK(talk.heard[2].header.type == rtmp::Type::SetChunkSize);
  CHECK(load_be32(talk.heard[2].payload.data()) == rtmp::kOutChunkSize);
  CHECK(words_of({talk.heard[3].header, talk.heard[3].payload}).name() == "_result");
}

TEST_CASE("OBS publishes with a name for the app in each command", "[rtmp][server]") {
  const Talk talk = talk_of({connect_words(),
                             {.values = {"releaseStream", 2, nullptr, "cam"}},
                             {.values = {"FCPublish", 3, nullptr, "cam"}},
                             {.values = {"createStream", 4, nullptr}},
                             {.values = {"publish", 5, nullptr, "cam", "live"}, .stream_id = 1}});
  REQUIRE(talk.request);
  CHECK(talk.request->kind == rtmp::Request::Kind::Publish);
  const auto names = talk.names();
  CHECK(names ==
        std::vector<std::string>{"_result", "_result", "onFCPublish", "_result", "_result"});
}

TEST_CASE("librtmp and VLC play: FCSubscribe and a second createStream are answered",
          "[rtmp][server]") {
  const Talk talk =
      talk_of({connect_words(),
               {.values = {"createStream", 2, nullptr}},
               {.values = {"FCSubscribe", 3, nullptr, "cam"}},
               {.values = {"createStream", 4, nullptr}},
               {.values = {"play", 5, nullptr, "cam", -2000, -1, true}, .stream_id = 1}});
  REQUIRE(talk.request);
  CHECK(talk.request->kind == rtmp::Request::Kind::Play);
  CHECK(talk.request->arguments == Values{-2000, -1, true});
  CHECK(talk.answer_to(2)[3].number() == 1);
  CHECK(talk.answer_to(4)[3].number() == 1);
  CHECK(count(talk.names(), "onFCSubscribe") == 1);
}

TEST_CASE("ffmpeg and GStreamer play: getStreamLength is zero for a live stream",
          "[rtmp][server]") {
  const Talk talk = talk_of({connect_words(),
                             {.values = {"createStream", 2, nullptr}},
                             {.values = {"getStreamLength", 3, nullptr, "cam"}},
                             play_words()});
  REQUIRE(talk.request);
  REQUIRE(talk.answer_to(3).values.size() == 4);
  CHECK(talk.answer_to(3)[3] == amf0::Value(0));
}

TEST_CASE("Flash speaks AMF3 commands, which differ by a leading zero byte", "[rtmp][server]") {
  Words connect = connect_words();
  connect.values[2].set("objectEncoding", 3);
  const Talk talk = talk_of(
      {connect,
       {.values = {"createStream", 2, nullptr}, .type = rtmp::Type::CommandAmf3},
       {.values = {"play", 0, nullptr, "cam"}, .stream_id = 1, .type = rtmp::Type::CommandAmf3}});
  REQUIRE(talk.request);
  CHECK(talk.request->stream == "cam");
  CHECK(talk.answer_to(2)[3].number() == 1);
  const Words granted = talk.answer_to(1);
  const auto* encoding = granted[3].find("objectEncoding");
  REQUIRE(encoding != nullptr);
  CHECK(encoding->number() == 3);
}

TEST_CASE("an unknown command is answered exactly when it has a transaction id", "[rtmp][server]") {
  const auto transaction = GENERATE(0, 9);
  const Talk talk = talk_of(
      {connect_words(), {.values = {"setPeerInfo", transaction, nullptr, 1, 2}}, play_words()});
  REQUIRE(talk.request);
  CHECK(talk.answer_to(9).values.empty() == (transaction == 0));
  CHECK(talk.answer_to(0).values.empty());
}

TEST_CASE("a command of nothing but a name has no transaction id, and no answer",
          "[rtmp][server]") {
  const Talk talk = talk_of({connect_words(), {.values = {"whatever"}}, play_words()});
  REQUIRE(talk.request);
  CHECK(talk.names() == std::vector<std::string>{"_result"});
}

TEST_CASE("the connect object and what follows it are kept as they came", "[rtmp][server]") {
  Words connect = connect_words();
  connect.values[2].set("flashVer", "FMLE/3.0");
  connect.values[2].set("myOwn", amf0::Value::strict_array({1, "two"}));
  connect.values.push_back("user");
  connect.values.push_back(42);
  const Talk talk = talk_of({connect, play_words()});
  REQUIRE(talk.request);
  CHECK(talk.request->connect == Values(connect.values.begin() + 2, connect.values.end()));
  CHECK(talk.request->property("flashVer") == "FMLE/3.0");
  CHECK(talk.request->property("myOwn").empty());
  CHECK(talk.request->property("absent").empty());
}

TEST_CASE("connect may come without an object", "[rtmp][server]") {
  const Talk talk = talk_of({{.values = {"connect", 1}}, play_words()});
  REQUIRE(talk.request);
  CHECK(talk.request->connect.empty());
  CHECK(talk.request->app.empty());
  CHECK_FALSE(talk.answer_to(1).values.empty());
}

TEST_CASE("connect comes first, or the conversation is over", "[rtmp][server]") {
  const std::string name = GENERATE("createStream", "publish", "play", "unheardOf");
  const Talk talk = talk_of({{.values = {name, 1, nullptr, "cam"}}, connect_words(), play_words()});
  REQUIRE_FALSE(talk.request);
  CHECK(talk.request.error().code == Errc::Protocol);
  CHECK(talk.commands().empty());
}

TEST_CASE("play and publish need a stream name that is text", "[rtmp][server]") {
  const std::string name = GENERATE("play", "publish");
  const Values rest = GENERATE(Values{}, Values{nullptr}, Values{nullptr, 7},
                               Values{nullptr, amf0::Value::object()});
  Words asked{.values = {name, 0}, .stream_id = 1};
  asked.values.insert(asked.values.end(), rest.begin(), rest.end());
  const Talk talk = talk_of({connect_words(), asked});
  REQUIRE_FALSE(talk.request);
  CHECK(talk.request.error().code == Errc::Protocol);
}

TEST_CASE("a command without a name, or that is no AMF, ends the conversation", "[rtmp][server]") {
  const Values nameless = GENERATE(Values{}, Values{7, 1}, Values{nullptr});
  CHECK(talk_of({connect_words(), {.values = nameless}, play_words()}).request.error().code ==
        Errc::Protocol);
  ByteBuffer said = in_chunks({connect_words()});
  rtmp::ChunkWriter().append(said, {.chunk_stream = 3, .type = rtmp::Type::CommandAmf0},
                             as_bytes("\x02\xff\xffshort"));
  CHECK(talk_raw(said).request.error().code == Errc::Protocol);
}

TEST_CASE("as many commands as are allowed before the request, and not one more",
          "[rtmp][server]") {
  std::vector<Words> said{connect_words()};
  while (std::ssize(said) < rtmp::kMaxCommands - 1)
    said.push_back({.values = {"_checkbw", 5, nullptr}});
  CHECK(talk_of(with(said, play_words())).request);
  said.push_back({.values = {"_checkbw", 5, nullptr}});
  const Talk talk = talk_of(with(said, play_words()));
  REQUIRE_FALSE(talk.request);
  CHECK(talk.request.error().code == Errc::Limit);
}

TEST_CASE("what is no command does not count and is no reason to hang up", "[rtmp][server]") {
  ByteBuffer said = in_chunks({connect_words()});
  const rtmp::ChunkWriter writer;
  for (int i = 0; i < 2 * rtmp::kMaxCommands; ++i) {
    rtmp::append_set_buffer_length(said, 1, 3000);
    writer.append(said, {.chunk_stream = 5, .stream_id = 1, .type = rtmp::Type::DataAmf0},
                  as_bytes("??"));
    writer.append(said, {.chunk_stream = 4, .stream_id = 1, .type = rtmp::Type::Audio}, {});
  }
  append(said, in_chunks({play_words()}));
  CHECK(talk_raw(said).request);
}

TEST_CASE("a message before the request is as large as allowed, and no larger", "[rtmp][server]") {
  const std::size_t extra = GENERATE(0, 1);
  ByteBuffer said = in_chunks({connect_words()});
  const ByteBuffer payload(rtmp::kMaxSetupMessage + extra, 0);
  rtmp::ChunkWriter().append(said, {.chunk_stream = 4, .type = rtmp::Type::DataAmf0}, payload);
  append(said, in_chunks({play_words()}));
  const Talk talk = talk_raw(said);
  CHECK(talk.request.has_value() == (extra == 0));
  if (extra == 1) CHECK(talk.request.error().code == Errc::Limit);
}

TEST_CASE("a client that does not go on is given up at the deadline", "[rtmp][server]") {
  CHECK(talk_of({connect_words()}, 30ms).request.error().code == Errc::Timeout);
  CHECK(talk_of({}, 30ms).request.error().code == Errc::Timeout);
}

TEST_CASE("a client that goes before its request is told as closed", "[rtmp][server]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = socket_pair(on);
    Connection server(std::move(ends[0]));
    Connection client(std::move(ends[1]));
    Child serving(on);
    auto serve = [](Connection& from, Errc& how) -> Task<void> {
      auto accepted = co_await from.accept(from.loop().in(kPatience));
      CHECK(accepted);
      auto request = co_await rtmp::serve_setup(from, kWindow, from.loop().in(kPatience));
      if (!request) how = request.error().code;
    };
    Errc how = Errc::System;
    serving.start(serve(server, how));
    auto greeted = co_await client.greet(on.in(kPatience));
    CHECK(greeted);
    say(client, connect_words());
    auto sent = co_await client.flush(on.in(kPatience));
    CHECK(sent);
    client.socket().shut_down_writes();
    co_await serving.join();
    CHECK(how == Errc::Closed);
  };
  run(loop, body(loop));
}

TEST_CASE("a client that reads no answers is given up at the deadline", "[rtmp][server]") {
  // Every unknown command costs the server an answer, and nobody takes them.
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = socket_pair(on);
    keep_buffers_small(*ends[0], 1024);
    Connection server(std::move(ends[0]));
    Connection client(std::move(ends[1]));
    Child serving(on);
    auto serve = [](Connection& from, Errc& how) -> Task<void> {
      auto accepted = co_await from.accept(from.loop().in(kPatience));
      CHECK(accepted);
      auto request = co_await rtmp::serve_setup(from, kWindow, from.loop().in(50ms));
      if (!request) how = request.error().code;
    };
    Errc how = Errc::System;
    serving.start(serve(server, how));
    auto greeted = co_await client.greet(on.in(kPatience));
    CHECK(greeted);
    say(client, connect_words());
    for (int i = 0; i < rtmp::kMaxCommands - 2; ++i)
      say(client, {.values = {"FCSubscribe", 5, nullptr, "cam"}});
    auto sent = co_await client.flush(on.in(kPatience));
    CHECK(sent);
    co_await serving.join();
    CHECK(how == Errc::Timeout);
  };
  run(loop, body(loop));
}

TEST_CASE("a refusal says what is wrong in RTMP's words, and why in weir's", "[rtmp][server]") {
  using Kind = rtmp::Request::Kind;
  const auto [kind, why, code] = GENERATE(table<Kind, Errc, std::string>({
      {Kind::Play, Errc::NotFound, "NetStream.Play.StreamNotFound"},
      {Kind::Play, Errc::Loop, "NetStream.Play.Failed"},
      {Kind::Play, Errc::Unavailable, "NetStream.Play.Failed"},
      {Kind::Publish, Errc::Busy, "NetStream.Publish.BadName"},
      {Kind::Publish, Errc::NotFound, "NetStream.Publish.Denied"},
      {Kind::Publish, Errc::Denied, "NetStream.Publish.Denied"},
  }));
  Loop loop;
  auto ends = socket_pair(loop);
  Connection connection(std::move(ends[0]));
  rtmp::Request request;
  request.kind = kind;
  request.stream_id = 5;
  rtmp::send_refusal(connection, request, {why, "the reason"});
  rtmp::ChunkReader reader;
  ByteView sent = connection.out();
  auto message = reader.next(sent);
  REQUIRE(message);
  REQUIRE(*message);
  const Words words = words_of(**message);
  CHECK(words.stream_id == 5);
  CHECK(words.code() == code);
  CHECK(words.property("level") == "error");
  CHECK(words.property("description") == "the reason");
  CHECK(words.property(std::string(rtmp::kReasonProperty)) == name(why));
  const auto verdict = rtmp::verdict_of(**message);
  REQUIRE(verdict);
  CHECK(verdict->error);
  CHECK(verdict->loop == (why == Errc::Loop));
}

TEST_CASE("an accepted play begins with StreamBegin, Reset and Start on its own stream",
          "[rtmp][server]") {
  Loop loop;
  auto ends = socket_pair(loop);
  Connection connection(std::move(ends[0]));
  rtmp::send_play_started(connection, 3, "cam");
  rtmp::ChunkReader reader;
  ByteView sent = connection.out();
  std::vector<Kept> kept;
  while (true) {
    auto message = reader.next(sent);
    REQUIRE(message);
    if (!*message) break;
    kept.push_back({(*message)->header, {(*message)->payload.begin(), (*message)->payload.end()}});
  }
  REQUIRE(kept.size() == 4);
  CHECK(kept[0].header.type == rtmp::Type::UserControl);
  CHECK(load_be16(kept[0].payload.data()) == static_cast<std::uint32_t>(rtmp::Event::StreamBegin));
  CHECK(load_be32(kept[0].payload.data() + 2) == 3);
  const auto commands = commands_among(kept);
  REQUIRE(commands.size() == 2);
  CHECK(commands[0].code() == "NetStream.Play.Reset");
  CHECK(commands[1].code() == "NetStream.Play.Start");
  for (std::size_t i = 1; i < kept.size(); ++i) CHECK(kept[i].header.stream_id == 3);
}

TEST_CASE("a status as bytes is the status as sent", "[rtmp][server]") {
  const ByteBuffer bytes =
      rtmp::status_message(2, "status", "NetStream.Play.UnpublishNotify", std::string(500, 'x'));
  rtmp::ChunkReader reader;
  ByteBuffer size;
  rtmp::append_set_chunk_size(size, rtmp::kOutChunkSize);
  ByteView input = size;
  REQUIRE(reader.next(input));
  input = bytes;
  auto message = reader.next(input);
  REQUIRE(message);
  REQUIRE(*message);
  CHECK(input.empty());
  CHECK((*message)->header.stream_id == 2);
  CHECK(words_of(**message).property("description") == std::string(500, 'x'));
}
