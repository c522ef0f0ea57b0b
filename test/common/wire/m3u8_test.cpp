#include "common/wire/m3u8.h"

#include <spdlog/fmt/fmt.h>

#include <vector>
#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> uris_of(std::string_view text) {
  std::vector<std::string> uris;
  const auto same = m3u8::rewrite(text, [&](std::string_view uri, UriUse use) {
    CHECK(use == UriUse::Fetched);
    uris.emplace_back(uri);
    return std::nullopt;
  });
  REQUIRE(same);
  CHECK(*same == text);
  return uris;
}

std::string bracketed(std::string_view text) {
  const auto changed =
      m3u8::rewrite(text, [](std::string_view uri, UriUse) { return fmt::format("<{}>", uri); });
  REQUIRE(changed);
  return *changed;
}

std::string tag(std::string_view text) { return "#EXTM3U\n" + std::string(text) + "\n"; }

Errc refused(std::string_view text, const m3u8::Limits& limits = {}) {
  const auto facts = m3u8::inspect(text, limits);
  REQUIRE_FALSE(facts);
  CHECK_FALSE(m3u8::rewrite(text, [](auto, auto) { return std::nullopt; }, limits));
  return facts.error().code;
}

// As nginx-rtmp writes it.
constexpr std::string_view kNginx =
    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-TARGETDURATION:2\n"
    "#EXT-X-DISCONTINUITY\n#EXTINF:1.000,\ncam-41.ts\n#EXTINF:1.960,\ncam-42.ts\n";

// As ffmpeg writes it with -hls_segment_type fmp4 -hls_playlist_type vod.
constexpr std::string_view kFfmpeg =
    "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
    "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init.mp4\"\n"
    "#EXTINF:2.000000,\nvod0.m4s\n#EXTINF:0.920000,\nvod1.m4s\n#EXT-X-ENDLIST\n";

// As test peers' low latency origin writes it, with a key and rendition reports added.
constexpr std::string_view kLowLatency =
    "#EXTM3U\r\n#EXT-X-VERSION:9\r\n#EXT-X-TARGETDURATION:2\r\n"
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,CAN-SKIP-UNTIL=12.0\r\n"
    "#EXT-X-PART-INF:PART-TARGET=0.334\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n"
    "#EXT-X-MAP:URI=\"test/init.mp4\"\r\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\r\n"
    "#EXT-X-KEY:METHOD=AES-128,URI=\"key?id=1\",IV=0x1\r\n"
    "#EXT-X-PART:DURATION=0.33333,URI=\"test/7.0.m4s\",INDEPENDENT=YES\r\n"
    "#EXT-X-PART:DURATION=0.33333,URI=\"test/7.1.m4s\"\r\n#EXTINF:2.00000,\r\ntest/7.m4s\r\n"
    "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"test/8.0.m4s\"\r\n"
    "#EXT-X-RENDITION-REPORT:URI=\"../audio.m3u8\",LAST-MSN=7,LAST-PART=1\r\n";

constexpr std::string_view kMultivariant =
    "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"/"
    "steer?a\",PATHWAY-ID=\"x\"\n"
    "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://"
    "k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n"
    "#EXT-X-SESSION-DATA:DATA-ID=\"t\",URI=\"titles.json\"\n"
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a, URI=b\",NAME=\"en\",URI=\"audio.m3u8\"\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=900000, CODECS=\"avc1.4d401e,mp4a.40.2\"\n../cam.m3u8\n"
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,URI=\"iframe.m3u8\"\n"
    "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=9,URI=\"thumbs.m3u8\"\n";

}  // namespace

TEST_CASE("the URIs of real playlists are found, in order, and nothing else is", "[m3u8]") {
  using Uris = std::vector<std::string>;
  CHECK(uris_of(kNginx) == Uris{"cam-41.ts", "cam-42.ts"});
  CHECK(uris_of(kFfmpeg) == Uris{"init.mp4", "vod0.m4s", "vod1.m4s"});
  CHECK(uris_of(kLowLatency) == Uris{"test/init.mp4", "key?id=1", "test/7.0.m4s", "test/7.1.m4s",
                                     "test/7.m4s", "test/8.0.m4s", "../audio.m3u8"});
  CHECK(uris_of(kMultivariant) == Uris{"/steer?a", "skd://k", "titles.json", "audio.m3u8",
                                       "../cam.m3u8", "iframe.m3u8", "thumbs.m3u8"});
}

TEST_CASE("URIs are replaced where they stand and every other byte stays", "[m3u8]") {
  CHECK(bracketed("#EXTM3U\r\n# note \r\n\r\n \ta.ts\t\r\n#EXTINF:1,URI=\"t\"\n b c.ts") ==
        "#EXTM3U\r\n# note \r\n\r\n \t<a.ts>\t\r\n#EXTINF:1,URI=\"t\"\n <b c.ts>");
  CHECK(bracketed(tag("#EXT-X-MAP:BYTERANGE=\"8@0\", URI=\"i.mp4\" ,X=1")) ==
        tag("#EXT-X-MAP:BYTERANGE=\"8@0\", URI=\"<i.mp4>\" ,X=1"));
  CHECK(bracketed(tag("#EXT-X-DATERANGE:ID=\"a\",X-ASSET-URI=\"ad.m3u8\",X-COM=\"u\"")) ==
        tag("#EXT-X-DATERANGE:ID=\"a\",X-ASSET-URI=\"<ad.m3u8>\",X-COM=\"u\""));
  CHECK(bracketed(tag("#EXT-X-DATERANGE:ID=\"a\",X-ASSET-LIST=\"ads.json\"")) ==
        tag("#EXT-X-DATERANGE:ID=\"a\",X-ASSET-LIST=\"<ads.json>\""));
}

TEST_CASE("tags that are not written as they should be keep their bytes", "[m3u8]") {
  for (const char* text :
       {"#EXT-X-MAP", "#EXT-X-MAP:", "#EXT-X-MAP:URI", "#EXT-X-MAP:URI=", "#EXT-X-MAP:URI=a.mp4",
        "#EXT-X-MAP:URI=\"a.mp4", "#EXT-X-MAP:URI=\"\"", "#EXT-X-MAP:uri=\"a\"", "#EXT-X-MAP:=,=\"",
        "#EXT-X-KEY:X-URI=\"a\"", "#EXTINF:4,URI=\"a\"", "#EXT-X-BYTERANGE:8@0", "#URI=\"a\""}) {
    INFO(text);
    CHECK(uris_of(tag(text)).empty());
  }
  CHECK(uris_of(tag("#EXT-X-MAP:noise,URI=\"a.mp4\"")) == std::vector<std::string>{"a.mp4"});
}

TEST_CASE("a playlist tells how long it holds", "[m3u8]") {
  const auto nginx = m3u8::inspect(kNginx);
  REQUIRE(nginx);
  CHECK(*nginx == m3u8::Facts{.target_duration = 2s, .part_target = {}});
  const auto ffmpeg = m3u8::inspect(kFfmpeg);
  REQUIRE(ffmpeg);
  CHECK(ffmpeg->ended);
  CHECK_FALSE(ffmpeg->multivariant);
  const auto low_latency = m3u8::inspect(kLowLatency);
  REQUIRE(low_latency);
  CHECK(*low_latency ==
        m3u8::Facts{.can_block_reload = true, .target_duration = 2000ms, .part_target = 334ms});
  const auto many = m3u8::inspect(kMultivariant);
  REQUIRE(many);
  CHECK(many->multivariant);
  CHECK_FALSE(many->target_duration);
  const auto no = m3u8::inspect(tag("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=NO"));
  CHECK_FALSE(no->can_block_reload);
}

TEST_CASE("a duration that is none is not believed", "[m3u8]") {
  for (const char* text : {"", "x", "-1", "1x", "nan", "inf", "1e9", "1000001"}) {
    INFO(text);
    CHECK_FALSE(m3u8::inspect(tag(fmt::format("#EXT-X-TARGETDURATION:{}", text)))->target_duration);
  }
  CHECK(m3u8::inspect(tag("#EXT-X-TARGETDURATION: 1000000 "))->target_duration == 1'000'000s);
}

TEST_CASE("what does not begin with #EXTM3U is no playlist", "[m3u8]") {
  for (const char* text : {"", "\n", "a.ts\n", "\n#EXTM3U\n", "#EXTM3U8\n", "<html>"}) {
    INFO(text);
    CHECK(refused(text) == Errc::Protocol);
  }
  CHECK(m3u8::inspect("#EXTM3U"));
  CHECK(m3u8::inspect("#EXTM3U \r\n\r\n"));
}

TEST_CASE("a playlist is read up to its limits and refused past them", "[m3u8]") {
  const std::string text = "#EXTM3U\na.ts\n";
  CHECK(m3u8::inspect(text, {.bytes = text.size()}));
  CHECK(refused(text, {.bytes = text.size() - 1}) == Errc::Limit);
  CHECK(m3u8::inspect(text, {.lines = 2}));
  CHECK(refused(text, {.lines = 1}) == Errc::Limit);
  CHECK(m3u8::inspect(text, {.line_bytes = 7}));
  CHECK(refused(text, {.line_bytes = 6}) == Errc::Limit);
  const m3u8::Limits usual;
  const std::string longest = "#EXTM3U\n" + std::string(usual.line_bytes, 'a');
  CHECK(m3u8::inspect(longest));
  CHECK(refused(longest + "a") == Errc::Limit);
}
