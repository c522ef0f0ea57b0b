#include "proxy/whip_request.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

http::Request request(std::string method, std::string target, std::string type = "") {
  http::Request made{.method = std::move(method), .target = std::move(target)};
  made.headers.add("Host", "example.org");
  if (!type.empty()) made.headers.add("Content-Type", type);
  return made;
}

std::string stream_of(std::string target, std::string type = "application/sdp") {
  const auto whip = whip_request(request("POST", std::move(target), std::move(type)));
  return !whip ? std::to_string(whip.error().status) : !*whip ? "none" : (**whip).stream_target;
}

}  // namespace

TEST_CASE("each server's way to name a stream is understood", "[whip]") {
  CHECK(stream_of("/rtc/v1/whip/?app=live&stream=cam") == "/live/cam?app=live&stream=cam");
  CHECK(stream_of("/rtc/v1/whep?stream=cam&vhost=a.org") == "/live/cam?stream=cam&vhost=a.org");
  CHECK(stream_of("/live/cam/whip") == "/live/cam?");
  CHECK(stream_of("/live/cam/whep/?token=1") == "/live/cam?token=1");
  CHECK(stream_of("/live/cam?direction=whip") == "/live/cam?direction=whip");
  CHECK(stream_of("/whep/live/cam") == "/live/cam?");
  CHECK(stream_of("/my/own/way") == "/my/own/way?");
  CHECK(stream_of("/rtc/v1/publish/", "application/json").empty());
  CHECK(stream_of("/rtc/v1/play/", "").empty());
}

TEST_CASE("the URL says who publishes", "[whip]") {
  const auto publishes = [](std::string target, std::string type = "application/sdp") {
    return (**whip_request(request("POST", std::move(target), std::move(type)))).publishes;
  };
  for (const char* target :
       {"/rtc/v1/whip/?stream=a", "/live/cam/whip", "/whip/live/cam", "/live/cam?direction=whip"})
    CHECK(publishes(target) == true);
  for (const char* target : {"/rtc/v1/whep/?stream=a", "/rtc/v1/whip-play/?stream=a",
                             "/live/cam/whep", "/live/cam?direction=whep"})
    CHECK(publishes(target) == false);
  CHECK(publishes("/my/own/way") == std::nullopt);
  CHECK(publishes("/rtc/v1/publish/", "application/json") == true);
  CHECK(publishes("/rtc/v1/play/", "application/json") == false);
}

TEST_CASE("other requests are not signalling", "[whip]") {
  CHECK_FALSE(*whip_request(request("GET", "/live/cam/whep")));
  CHECK_FALSE(*whip_request(request("POST", "/api/v1/clients", "application/json")));
  CHECK_FALSE(*whip_request(request("DELETE", "/api/v1/clients/7")));
  CHECK_FALSE(*whip_request(request("OPTIONS", "/live/cam.m3u8")));
  CHECK_FALSE(*whip_request(request("POST", "/whipped/cream")));
  CHECK(*whip_request(request("OPTIONS", "/live/cam/whip")));
  CHECK(*whip_request(request("DELETE", "/session/7?weir_o=a&weir_s=b")));
}

TEST_CASE("a browser may ask first, also where the stream stands in the body", "[whip]") {
  const auto asked = whip_request(request("OPTIONS", "/rtc/v1/publish/"));
  REQUIRE(*asked);
  CHECK((**asked).body == WhipRequest::Body::None);
  CHECK((**asked).stream_target == "/rtc/v1/publish/?");
}

TEST_CASE("a body of the wrong type is refused with 415", "[whip]") {
  CHECK(stream_of("/live/cam/whip", "text/plain") == "415");
  CHECK(stream_of("/live/cam/whip", "") == "415");
  CHECK(stream_of("/live/cam/whip", "APPLICATION/SDP; charset=utf-8") == "/live/cam?");
  CHECK(stream_of("/rtc/v1/publish/", "application/sdp") == "415");
  const auto patch = [](const std::string& type) {
    return whip_request(request("PATCH", "/session/7?weir_s=b", type));
  };
  CHECK(patch("application/trickle-ice-sdpfrag").value()->body == WhipRequest::Body::Fragment);
  CHECK(patch("application/json").error().status == 415);
}

TEST_CASE("SRS names the stream in a URL", "[whip]") {
  CHECK(*target_of_webrtc_url("webrtc://host:1985/live/cam?vhost=a") == "/live/cam?vhost=a");
  CHECK(*target_of_webrtc_url("webrtc://host/live/cam") == "/live/cam");
  for (const char* bad : {"", "live/cam", "webrtc://host", "/live/cam"})
    CHECK_FALSE(target_of_webrtc_url(bad));
}

TEST_CASE("a Location comes back with both names and leads to the origin's own again", "[whip]") {
  const auto round = [](std::string_view location, std::string_view mapped) {
    std::string target = mapped_location(location, "origin", "session");
    CHECK(target == mapped);
    CHECK(take_session(target) == "session");
    return target;
  };
  CHECK(round("/session/7", "/session/7?weir_o=origin&weir_s=session") ==
        "/session/7?weir_o=origin");
  CHECK(round("http://10.0.0.1:1985/rtc/v1/whip/?a=1&b",
              "/rtc/v1/whip/?a=1&b&weir_o=origin&weir_s=session") ==
        "/rtc/v1/whip/?a=1&b&weir_o=origin");
  CHECK(round("http://10.0.0.1", "/?weir_o=origin&weir_s=session") == "/?weir_o=origin");
  // Of a farther proxy: ours before its own.
  CHECK(round("/s?weir_o=far&weir_s=there&x=1", "/s?weir_o=origin.far&weir_s=session.there&x=1") ==
        "/s?weir_o=origin.far&weir_s=there&x=1");
}

TEST_CASE("a target without a session is left alone", "[whip]") {
  for (const char* given : {"/s", "/s?", "/s?weir_s=", "/s?weir_sx=1", "/weir_s=1"}) {
    std::string target = given;
    CHECK_FALSE(take_session(target));
    CHECK(target == given);
  }
}
