// Origins that refuse, hang up, stay silent or lack the stream, and clients that misbehave.
#include <catch2/catch.hpp>

#include "test/proxy/rtsp_relay_rig.h"
#include "test/support/on_a_loop.h"

using namespace weir;
using namespace weir::test;

namespace {

RtspOrigin::Answer says(int status) {
  return [status](const rtsp::Message& request) { return reply(request, status); };
}

// What a client is told that says this.
Task<rtsp::Message> told(RtspRig& rig, std::string text) {
  auto client = co_await rig.connect();
  auto answer = co_await client->ask(std::move(text));
  co_return std::move(answer);
}

}  // namespace

TEST_CASE("an origin that refuses, hangs up or is silent is passed over for the next",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    const RefusingPort refusing;
    RtspOrigin closing(loop, [](const rtsp::Message&) { return std::string("close"); });
    RtspOrigin silent(loop, [](const rtsp::Message&) { return std::string(); });
    RtspOrigin good(loop, grants);
    std::deque<RtspRig> rigs;  // as long as their sessions
    for (const std::uint16_t bad : {refusing.port(), closing.port(), silent.port()}) {
      for (const std::string method : {"OPTIONS", "DESCRIBE", "ANNOUNCE", "SETUP"}) {
        RtspRig& rig = rigs.emplace_back(loop, std::vector{bad, good.port()});
        rig.options.request_timeout = rig.options.dial.reply_timeout = milliseconds(50);
        auto answer = co_await told(rig, RtspRig::request(method, 1, "Transport: RTP/AVP/TCP\r\n"));
        CHECK(answer.status == 200);
        CHECK(good.heard.back().method == method);
        co_await comes_true(loop, [&] { return good.ended == good.connections; });
      }
    }
    co_await end_all_others(loop);
  });
}

TEST_CASE("a viewer finds a stream at the second origin when the first has it not",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin without(loop, says(404));
    RtspOrigin with(loop, grants);
    RtspRig rig(loop, {without.port(), with.port()});
    auto first = co_await rig.play();
    CHECK(with.methods() == std::vector<std::string>{"DESCRIBE", "SETUP", "PLAY"});
    auto second = co_await rig.play();
    CHECK(without.connections == 1);
    CHECK(with.connections == 2);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a stream that nobody has is not found, and a publisher asks one origin alone",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin one(loop, says(404));
    RtspOrigin other(loop, says(455));
    RtspRig rig(loop, {one.port(), other.port()});
    auto answer = co_await told(rig, RtspRig::request("DESCRIBE", 3));
    CHECK(answer.status == 404);
    CHECK(answer.headers.find("CSeq") == "3");
    CHECK(other.connections == 1);
    auto published = co_await told(rig, RtspRig::request("ANNOUNCE", 1));
    CHECK(published.status == 404);
    CHECK(other.connections == 1);
    co_await end_all_others(loop);
  });
}

TEST_CASE("another origin's question for credentials is passed on, its refusal of others' is not",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin without(loop, says(404));
    RtspOrigin guarded(loop, says(401));
    RtspRig rig(loop, {without.port(), guarded.port()});
    auto asked = co_await told(rig, RtspRig::request("DESCRIBE", 1));
    CHECK(asked.status == 401);
    auto refused =
        co_await told(rig, RtspRig::request("DESCRIBE", 1, "Authorization: Basic eA==\r\n"));
    CHECK(refused.status == 404);
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that ends a quiet connection is asked again over a new one", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, says(401));
    RtspOrigin other(loop, grants);
    RtspRig rig(loop, {origin.port(), other.port()});
    auto client = co_await rig.connect();
    auto first = co_await client->ask(RtspRig::request("DESCRIBE", 1));
    CHECK(first.status == 401);
    origin.visits[0].socket().close();
    auto second = co_await client->ask(RtspRig::request("DESCRIBE", 2));
    CHECK(second.status == 401);
    CHECK(origin.connections == 2);
    CHECK(other.connections == 0);
    co_await end_all_others(loop);
  });
}

TEST_CASE("without any origin that answers the client is told so", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspRig none(loop, {});
    auto unavailable = co_await told(none, RtspRig::request("DESCRIBE", 8));
    CHECK(unavailable.status == 503);
    CHECK(unavailable.headers.find("CSeq") == "8");
    RtspOrigin silent(loop, [](const rtsp::Message&) { return std::string(); });
    RtspRig slow(loop, {silent.port()});
    slow.options.request_timeout = milliseconds(50);
    auto late = co_await told(slow, RtspRig::request("DESCRIBE", 1));
    CHECK(late.status == 504);
    RtspOrigin garbled(loop, [](const rtsp::Message&) { return std::string("HTTP/1.1 200\r\n"); });
    RtspRig bad(loop, {garbled.port()});
    auto unreadable = co_await told(bad, RtspRig::request("DESCRIBE", 1));
    CHECK(unreadable.status == 502);
    co_await end_all_others(loop);
  });
}

TEST_CASE("bad requests are answered and end the connection", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    const auto status = [&rig](std::string text) { return told(rig, std::move(text)); };
    auto answer = co_await status("GET / HTTP/1.1\r\n\r\n");
    CHECK(answer.status == 400);
    answer = co_await status(interleaved("before any SETUP"));
    CHECK(answer.status == 400);
    answer = co_await status(RtspRig::request("DESCRIBE", 1, {}, "rtsp://proxy/live/../cam"));
    CHECK(answer.status == 400);
    answer = co_await status(RtspRig::request("DESCRIBE", 1, {}, "rtsp://proxy/"));
    CHECK(answer.status == 400);
    answer = co_await status(RtspRig::request("DESCRIBE", 1, "Via: RTSP/1.0 this-node\r\n"));
    CHECK(answer.status == 508);
    answer = co_await status("A " + std::string(9000, 'x'));
    CHECK(answer.status == 414);
    answer = co_await status("A b RTSP/1.0\r\nContent-Length: 65537\r\n\r\n");
    CHECK(answer.status == 413);
    CHECK(origin.connections == 0);
    co_await end_all_others(loop);
  });
}

TEST_CASE("as many hops as max_hops pass, and one more does not", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    rig.options.max_hops = 2;
    auto passed = co_await told(rig, RtspRig::request("DESCRIBE", 1, "Via: 1.0 a\r\n"));
    CHECK(passed.status == 200);
    auto refused = co_await told(rig, RtspRig::request("DESCRIBE", 1, "Via: 1.0 a, 1.0 b\r\n"));
    CHECK(refused.status == 508);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that sends nothing, or not all of it, is let go in time", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspRig rig(loop, {});
    rig.options.request_timeout = milliseconds(50);
    rig.options.session_timeout = milliseconds(50);
    auto mute = co_await rig.connect();
    auto end = co_await mute->hear();
    CHECK(end.status == 0);
    auto late = co_await told(rig, "OPTIONS * RTSP/1.0\r\nCSe");
    CHECK(late.status == 408);
    auto idle = co_await rig.connect();
    auto answer = co_await idle->ask("OPTIONS * RTSP/1.0\r\n\r\n");
    CHECK(answer.status == 200);
    end = co_await idle->hear();
    CHECK(end.status == 0);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a session in which nobody says anything ends, and one that is fed goes on",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    rig.options.session_timeout = milliseconds(80);
    auto fed = co_await rig.play();
    auto starved = co_await rig.play();
    bool stop = false;
    auto feed = [](Loop& on, RtspPeer& peer, const bool& ended) -> Task<void> {
      while (!ended) {
        co_await peer.say(interleaved("x"));
        auto slept = co_await sleep(on, milliseconds(10));
        if (!slept) co_return;
      }
    };
    loop.spawn(feed(loop, origin.visits[0], stop));
    auto end = co_await starved->hear();
    CHECK(end.status == 0);
    const bool left = co_await comes_true(loop, [&] { return origin.ended == 1; });
    CHECK(left);
    auto alive = co_await fed->ask(RtspRig::request("GET_PARAMETER", 9));
    CHECK(alive.status == 200);
    stop = true;
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that stops answering in a session ends it", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, [](const rtsp::Message& request) {
      return request.method == "PAUSE" ? std::string() : grants(request);
    });
    RtspRig rig(loop, {origin.port()});
    rig.options.request_timeout = milliseconds(50);
    auto client = co_await rig.play();
    auto end = co_await client->ask(RtspRig::request("PAUSE", 4));
    CHECK(end.status == 0);
    co_await end_all_others(loop);
  });
}

TEST_CASE("a session stays with its stream", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    auto other =
        co_await client->ask(RtspRig::request("DESCRIBE", 4, {}, "rtsp://proxy:554/live/other"));
    CHECK(other.status == 455);
    auto same = co_await client->ask(RtspRig::request("DESCRIBE", 5));
    CHECK(same.status == 200);
    co_await end_all_others(loop);
  });
}

TEST_CASE("garbage among the frames of a session is answered and ends it", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    auto answer = co_await client->ask(interleaved("good") + "bad\r\n");
    CHECK(answer.status == 400);
    auto end = co_await client->hear();
    CHECK(end.status == 0);
    co_await end_all_others(loop);
  });
}

TEST_CASE("answers that a client does not take are bounded", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    rig.small_buffers = true;
    auto client = co_await rig.play();
    std::string requests;
    for (int i = 0; i < 1000; ++i)
      requests += RtspRig::request("SETUP", i, "Transport: RTP/AVP\r\n");
    while (true) {
      auto sent = co_await client->socket().write(as_bytes(requests), loop.in(kPatience));
      if (!sent) break;
    }
    const bool ended = co_await comes_true(loop, [&] { return origin.ended == 1; });
    CHECK(ended);
    co_await end_all_others(loop);
  });
}
