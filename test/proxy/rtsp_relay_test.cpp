#include "proxy/rtsp_relay.h"

#include <catch2/catch.hpp>

#include "test/proxy/rtsp_relay_rig.h"
#include "test/support/on_a_loop.h"

using namespace weir;
using namespace weir::test;

namespace {

using Methods = std::vector<std::string>;

}  // namespace

TEST_CASE("a viewer's requests reach the origin as they are, but for Via", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    CHECK(origin.methods() == Methods{"DESCRIBE", "SETUP", "PLAY"});
    CHECK(origin.connections == 1);
    for (const auto& heard : origin.heard) {
      CHECK(heard.uri == "rtsp://proxy:554/live/cam");
      CHECK(heard.headers.find("Via") == "RTSP/1.0 this-node");
    }
    CHECK(rig.metrics.viewers.Value() == 1);
    co_await end_all_others(loop);
    CHECK(rig.metrics.viewers.Value() == 0);
  });
}

TEST_CASE("OPTIONS that names no stream is answered without an origin", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspRig rig(loop, {});
    auto client = co_await rig.connect();
    for (const std::string uri : {"*", "rtsp://proxy:554", "rtsp://proxy:554/"}) {
      auto answer = co_await client->ask(RtspRig::request("OPTIONS", 1, {}, uri));
      CHECK(answer.status == 200);
      const std::string methods(answer.headers.find("Public").value_or(""));
      CHECK(methods.find("RECORD") != std::string::npos);
    }
    co_await end_all_others(loop);
  });
}

TEST_CASE("UDP is answered 461, before and after media is set up, and TCP goes on",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.connect();
    const std::string udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    auto refused = co_await client->ask(RtspRig::request("SETUP", 4, udp));
    CHECK(refused.status == 461);
    CHECK(refused.headers.find("CSeq") == "4");
    CHECK(origin.connections == 0);
    const std::string both = "Transport: RTP/AVP;multicast,RTP/AVP/TCP;interleaved=0-1\r\n";
    auto taken = co_await client->ask(RtspRig::request("SETUP", 5, both));
    CHECK(taken.status == 200);
    CHECK(origin.heard.back().headers.find("Transport") == "RTP/AVP/TCP;interleaved=0-1");
    refused = co_await client->ask(RtspRig::request("SETUP", 6, udp));
    CHECK(refused.status == 461);
    refused = co_await client->ask(RtspRig::request("SETUP", 7));
    CHECK(refused.status == 461);
    CHECK(rig.metrics.refused_transports.Value() == 3);
    CHECK(origin.methods() == Methods{"SETUP"});
    co_await end_all_others(loop);
  });
}

TEST_CASE("an answer of our own does not get into the middle of a frame", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    const std::string frame = interleaved("0123456789");
    co_await origin.visits[0].say(frame + frame.substr(0, 7));
    co_await client->hear_frames(frame.size() + 7);
    // What comes behind the request tells when that has been answered.
    co_await client->say(RtspRig::request("SETUP", 4, "Transport: RTP/AVP\r\n") + frame);
    const bool passed = co_await comes_true(loop, [&] { return origin.visits[0].frames == frame; });
    CHECK(passed);
    co_await origin.visits[0].say(frame.substr(7) + frame);
    auto refused = co_await client->hear();
    CHECK(refused.status == 461);
    CHECK(client->frames == frame + frame);
    co_await client->hear_frames(3 * frame.size());
    co_await end_all_others(loop);
  });
}

TEST_CASE("frames pass both ways while messages come between them", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play("ANNOUNCE");
    CHECK(rig.metrics.publishers.Value() == 1);
    const std::string up = interleaved("video", 0) + interleaved(std::string(60'000, 'x'), 2);
    const std::string down = interleaved("report", 1);
    co_await client->say(up + RtspRig::request("GET_PARAMETER", 4) + up);
    auto kept = co_await client->hear();
    CHECK(kept.status == 200);
    co_await origin.visits[0].say(down);
    co_await client->hear_frames(down.size());
    CHECK(client->frames == down);
    const bool came =
        co_await comes_true(loop, [&] { return origin.visits[0].frames.size() == 2 * up.size(); });
    CHECK(came);
    CHECK(origin.visits[0].frames == up + up);
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin's own address becomes the one that the client used", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, [](const rtsp::Message& request) {
      if (request.method == "DESCRIBE")
        return reply(request, 200,
                     "Content-Type: application/sdp\r\nContent-Base: rtsp://10.0.0.1:8554/live/"
                     "cam/\r\n",
                     "v=0\r\na=control:rtsp://10.0.0.1:8554/live/cam/trackID=0\r\n");
      return reply(request, 200, "RTP-Info: url=rtsp://10.0.0.1/live/cam/trackID=0;seq=1\r\n");
    });
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.connect();
    auto described = co_await client->ask(RtspRig::request("DESCRIBE", 1));
    CHECK(described.headers.find("Content-Base") == "rtsp://proxy:554/live/cam/");
    CHECK(described.body == "v=0\r\na=control:rtsp://proxy:554/live/cam/trackID=0\r\n");
    co_await client->ask(RtspRig::request("SETUP", 2, "Transport: RTP/AVP/TCP\r\n",
                                          "rtsp://proxy:554/live/cam/trackID=0"));
    auto played = co_await client->ask(RtspRig::request("PLAY", 3));
    CHECK(played.headers.find("RTP-Info") == "url=rtsp://proxy:554/live/cam/trackID=0;seq=1");
    CHECK(origin.heard[1].uri == "rtsp://proxy:554/live/cam/trackID=0");
    co_await end_all_others(loop);
  });
}

TEST_CASE("credentials are asked for and checked by the origin, over one connection",
          "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, [](const rtsp::Message& request) {
      if (!request.headers.has("Authorization"))
        return reply(request, 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
      return grants(request);
    });
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.connect();
    auto asked = co_await client->ask(RtspRig::request("DESCRIBE", 1));
    CHECK(asked.status == 401);
    CHECK(asked.headers.find("WWW-Authenticate") == "Digest realm=\"r\", nonce=\"n\"");
    const std::string signed_for =
        "Authorization: Digest uri=\"rtsp://proxy:554/live/cam\", response=\"0\"\r\n";
    auto granted = co_await client->ask(RtspRig::request("DESCRIBE", 2, signed_for));
    CHECK(granted.status == 200);
    CHECK(origin.heard.back().headers.find("Authorization") ==
          "Digest uri=\"rtsp://proxy:554/live/cam\", response=\"0\"");
    CHECK(origin.connections == 1);
    co_await end_all_others(loop);
  });
}

TEST_CASE("what an origin asks its client goes through, and so does the answer", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    co_await origin.visits[0].say(RtspRig::request("OPTIONS", 77, {}, "rtsp://10.0.0.1/live/cam"));
    auto asked = co_await client->hear();
    CHECK(asked.method == "OPTIONS");
    CHECK(asked.uri == "rtsp://proxy:554/live/cam");
    co_await client->say(reply(asked, 200));
    const bool answered =
        co_await comes_true(loop, [&] { return origin.methods().back() == "200"; });
    CHECK(answered);
    CHECK(origin.heard.back().headers.find("CSeq") == "77");
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that leaves takes its connection to the origin along", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    client->socket().close();
    const bool ended = co_await comes_true(loop, [&] { return origin.ended == 1; });
    CHECK(ended);
    co_await end_all_others(loop);
  });
}

TEST_CASE("an origin that ends the session ends its client's connection", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    auto client = co_await rig.play();
    co_await origin.visits[0].say(interleaved("last"));
    origin.visits[0].socket().shut_down_writes();
    auto end = co_await client->hear();
    CHECK(end.status == 0);
    CHECK(client->frames == interleaved("last"));
    co_await end_all_others(loop);
  });
}

TEST_CASE("a client that takes no media for stall_timeout is closed", "[rtsp_relay]") {
  on_a_loop([](Loop& loop) -> Task<void> {
    RtspOrigin origin(loop, grants);
    RtspRig rig(loop, {origin.port()});
    rig.small_buffers = true;
    rig.options.stall_timeout = milliseconds(50);
    auto client = co_await rig.play();
    auto pour = [](RtspPeer& to) -> Task<void> {
      const std::string frame = interleaved(std::string(60'000, 'x'));
      while (true) {
        auto sent = co_await to.socket().write(as_bytes(frame), to.loop().in(kPatience));
        if (!sent) co_return;
      }
    };
    co_await pour(origin.visits[0]);
    const bool ended = co_await comes_true(loop, [&] { return origin.ended == 1; });
    CHECK(ended);
    CHECK(rig.metrics.viewers.Value() == 0);
    co_await end_all_others(loop);
  });
}
