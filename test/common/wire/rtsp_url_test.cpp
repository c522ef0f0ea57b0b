#include "common/wire/rtsp_url.h"

#include <catch2/catch.hpp>

#include "common/wire/rtsp_transport.h"

using namespace weir::rtsp;

namespace {
constexpr std::string_view kBase = "rtsp://proxy:554";
}

TEST_CASE("the base of a URI is its scheme, host and port", "[rtsp]") {
  CHECK(base_of("rtsp://a:8554/live/b?x=1") == "rtsp://a:8554");
  CHECK(base_of("RTSP://[::1]:5/") == "RTSP://[::1]:5");
  CHECK(base_of("rtsp://user:pass@a/live/b") == "rtsp://a");
  CHECK(base_of("rtsp://a") == "rtsp://a");
  CHECK(base_of("rtsp://") == std::nullopt);
  CHECK(base_of("*") == std::nullopt);
  CHECK(base_of("/live/b") == std::nullopt);
  CHECK(base_of("http://a/b") == std::nullopt);
}

TEST_CASE("an origin's URL gets the client's base and keeps all else", "[rtsp]") {
  CHECK(with_base("rtsp://10.0.0.1:8554/live/b/?x=1", kBase) == "rtsp://proxy:554/live/b/?x=1");
  CHECK(with_base("rtsp://10.0.0.1", kBase) == "rtsp://proxy:554");
  CHECK(with_base("trackID=1", kBase) == "trackID=1");
  CHECK(with_base("/live/b", kBase) == "/live/b");
  CHECK(with_base("*", kBase) == "*");
  CHECK(with_base("http://10.0.0.1/live", kBase) == "http://10.0.0.1/live");
}

TEST_CASE("every URL of an RTP-Info gets the client's base", "[rtsp]") {
  CHECK(rtp_info_with_base(
            "url=rtsp://o/a/trackID=0;seq=1;rtptime=2,url=rtsp://o/a/trackID=1;seq=3", kBase) ==
        "url=rtsp://proxy:554/a/trackID=0;seq=1;rtptime=2,url=rtsp://proxy:554/a/trackID=1;seq=3");
  CHECK(rtp_info_with_base("URL=\"rtsp://o:1\" ssrc=0A:seq=1", kBase) ==
        "URL=\"rtsp://proxy:554\" ssrc=0A:seq=1");
  CHECK(rtp_info_with_base("url=trackID=0;seq=1", kBase) == "url=trackID=0;seq=1");
  CHECK(rtp_info_with_base("", kBase).empty());
  CHECK(rtp_info_with_base("url=", kBase) == "url=");
}

TEST_CASE("controls of a description get the client's base, and no other byte changes", "[rtsp]") {
  CHECK(sdp_with_base("v=0\r\na=control:rtsp://o:8554/a/\r\nm=video\r\na=control:trackID=1\r\n",
                      kBase) ==
        "v=0\r\na=control:rtsp://proxy:554/a/\r\nm=video\r\na=control:trackID=1\r\n");
  CHECK(sdp_with_base("a=control:rtsp://o\r\n", kBase) == "a=control:rtsp://proxy:554\r\n");
  CHECK(sdp_with_base("a=control:*\nu=rtsp://o/a", kBase) == "a=control:*\nu=rtsp://o/a");
  CHECK(sdp_with_base("", kBase).empty());
}

TEST_CASE("a track's part is taken off a URL, and a stream's name is not", "[rtsp]") {
  CHECK(without_track("rtsp://a/live/b/trackID=1") == "rtsp://a/live/b");
  CHECK(without_track("rtsp://a/live/b/streamid=0") == "rtsp://a/live/b");
  CHECK(without_track("rtsp://a/live/b/stream=12/") == "rtsp://a/live/b");
  CHECK(without_track("rtsp://a/live/b/track2") == "rtsp://a/live/b");
  CHECK(without_track("rtsp://a/live/b?token=x/trackID=1") == "rtsp://a/live/b?token=x");
  CHECK(without_track("rtsp://a/live/cam2") == "rtsp://a/live/cam2");
  CHECK(without_track("rtsp://a/live/b?x=1") == "rtsp://a/live/b?x=1");
  CHECK(without_track("rtsp://a/live/b/") == "rtsp://a/live/b");
  CHECK(without_track("rtsp://track1") == "rtsp://track1");
  CHECK(without_track("*") == "*");
}

TEST_CASE("transports are told apart by commas that are not quoted", "[rtsp]") {
  CHECK(split_transports(" RTP/AVP;unicast;client_port=1-2 , RTP/AVP/TCP,,") ==
        std::vector<std::string_view>{"RTP/AVP;unicast;client_port=1-2", "RTP/AVP/TCP"});
  CHECK(split_transports(R"(RTP/AVP/UDP;dest_addr="a,\"b:1",RTP/AVP/TCP)") ==
        std::vector<std::string_view>{R"(RTP/AVP/UDP;dest_addr="a,\"b:1")", "RTP/AVP/TCP"});
  CHECK(split_transports("\"open,").size() == 1);
}

TEST_CASE("media in the connection itself is told from media beside it", "[rtsp]") {
  CHECK(is_interleaved("RTP/AVP/TCP;unicast;interleaved=0-1"));
  CHECK(is_interleaved("rtp/savpf/tcp"));
  CHECK(!is_interleaved("RTP/AVP;unicast;client_port=1-2"));
  CHECK(!is_interleaved("RTP/AVP/UDP;unicast"));
  CHECK(!is_interleaved("RTP/AVP/TCP;Multicast"));
  CHECK(!is_interleaved("RTP/TCP"));
  CHECK(!is_interleaved(""));
}

TEST_CASE("of several transports those in the connection are left, in their order", "[rtsp]") {
  CHECK(interleaved_only("RTP/AVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=0-1,"
                         "RTP/SAVP/TCP") == "RTP/AVP/TCP;interleaved=0-1,RTP/SAVP/TCP");
  CHECK(interleaved_only("RTP/AVP;multicast").empty());
  CHECK(interleaved_only("").empty());
}
