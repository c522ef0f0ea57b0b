#include "common/wire/mpd.h"

#include <spdlog/fmt/fmt.h>

#include <vector>
#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

using Uris = std::vector<std::string>;

// A base is shown with a star in front; what is absolute is left alone, as if elsewhere.
Uris uris_of(std::string_view text) {
  Uris uris;
  const auto same = mpd::rewrite(text, [&](std::string_view uri, UriUse use) {
    uris.push_back((use == UriUse::Base ? "*" : "") + std::string(uri));
    return std::nullopt;
  });
  REQUIRE(same);
  CHECK(*same == text);
  return uris;
}

std::string bracketed(std::string_view text) {
  const auto changed =
      mpd::rewrite(text, [](std::string_view uri, UriUse) { return fmt::format("[{}]", uri); });
  REQUIRE(changed);
  return *changed;
}

Errc refused(std::string_view text) {
  const auto changed = mpd::rewrite(text, [](auto, auto) { return std::nullopt; });
  REQUIRE_FALSE(changed);
  return changed.error().code;
}

mpd::Facts facts(std::string_view text) {
  const auto found = mpd::inspect(text);
  REQUIRE(found);
  return *found;
}

// As nginx-rtmp writes it, shortened.
constexpr std::string_view kNginx = R"(<?xml version="1.0"?>
<MPD
    type="dynamic"
    xmlns="urn:mpeg:dash:schema:mpd:2011"
    availabilityStartTime="2024-01-01T00:00:00Z"
    minimumUpdatePeriod="PT5S"
    profiles="urn:hbbtv:dash:profile:isoff-live:2012">
  <Period start="PT0S" id="dash">
    <AdaptationSet id="1" segmentAlignment="true">
      <Representation id="cam_H264" mimeType="video/mp4" codecs="avc1.42c00d">
        <SegmentTemplate
            timescale="1000"
            media="cam-$Time$.m4v"
            initialization="cam-init.m4v">
          <SegmentTimeline>
             <S t="0" d="5000"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
)";

}  // namespace

TEST_CASE("templates of a real manifest are found as they are written", "[mpd]") {
  CHECK(uris_of(kNginx) == Uris{"cam-$Time$.m4v", "cam-init.m4v"});
  CHECK(facts(kNginx) ==
        mpd::Facts{.manifest = true, .dynamic = true, .minimum_update_period = 5s});
}

TEST_CASE("every element and attribute that holds a URI is found", "[mpd]") {
  CHECK(
      uris_of(
          R"(<MPD><Location> http://a/l.mpd </Location><PatchLocation ttl="9">p.mpp</PatchLocation>
    <ContentSteering defaultServiceLocation="x">steer.json</ContentSteering>
    <InitializationSet initialization="is.mp4"/>
    <Period xlink:href="period.xml" xlink:actuate="onLoad"><BaseURL>media/</BaseURL>
    <SegmentTemplate media="$RepresentationID$-$Number%05d$.m4s" index="i.sidx"
      initialization="i.mp4" bitstreamSwitching="bs.mp4"><BitstreamSwitching sourceURL="b.mp4"/></SegmentTemplate>
    <SegmentList><Initialization sourceURL="l.mp4" range="0-9"/><RepresentationIndex sourceURL="r.sidx"/>
    <SegmentURL media="1.m4s" index="1.sidx"/></SegmentList>
    <SegmentBase indexRange="1-2"><Initialization range="0-1"/></SegmentBase>
    <BaseURL>video.mp4</BaseURL></Period></MPD>)") ==
      Uris{"http://a/l.mpd", "p.mpp", "steer.json", "is.mp4", "period.xml", "*media/",
           "$RepresentationID$-$Number%05d$.m4s", "i.sidx", "i.mp4", "bs.mp4", "b.mp4", "l.mp4",
           "r.sidx", "1.m4s", "1.sidx", "video.mp4"});
}

TEST_CASE("what names no segment is no URI", "[mpd]") {
  CHECK(uris_of(R"(<MPD media="a" href="b"><UTCTiming value="http://t"/><Title>BaseURL</Title>
    <Representation initialization="c" sourceURL="d"/><BaseURL/><Location> </Location></MPD>)")
            .empty());
}

TEST_CASE("URIs of a manifest are replaced where they stand, and every other byte stays", "[mpd]") {
  CHECK(bracketed("<m:MPD >\r\n<m:BaseURL a='1'>\n a/b?x=1&amp;y=2 </m:BaseURL><!-- media='c' -->"
                  "<SegmentTemplate media = ' $Number$.m4s'\t/></m:MPD>") ==
        "<m:MPD >\r\n<m:BaseURL a='1'>\n [a/b?x=1&amp;y=2] </m:BaseURL><!-- media='c' -->"
        "<SegmentTemplate media = ' [$Number$.m4s]'\t/></m:MPD>");
  CHECK(bracketed("<MPD><BaseURL><![CDATA[a?b&c]]></BaseURL></MPD>") ==
        "<MPD><BaseURL><![CDATA[[a?b&c]]]></BaseURL></MPD>");
  CHECK(bracketed("<Patch><add sel='x'><SegmentURL media='1.m4s'/></add></Patch>") ==
        "<Patch><add sel='x'><SegmentURL media='[1.m4s]'/></add></Patch>");
}

TEST_CASE("what is relative to a base elsewhere is not shown", "[mpd]") {
  CHECK(uris_of(R"(<MPD><BaseURL>http://cdn/a/</BaseURL><Location>self.mpd</Location><Period>
    <SegmentTemplate media="1.m4s" index="http://b/1"/></Period></MPD>)") ==
        Uris{"*http://cdn/a/", "self.mpd", "http://b/1"});
  CHECK(uris_of(R"(<MPD><Period><BaseURL>//cdn</BaseURL><AdaptationSet><BaseURL>x/</BaseURL>
    <SegmentURL media="1"/></AdaptationSet></Period><Period><SegmentURL media="2"/></Period></MPD>)") ==
        Uris{"*//cdn", "2"});
}

TEST_CASE("where bases are to choose from, all have to be elsewhere", "[mpd]") {
  for (const char* bases : {"<BaseURL>http://cdn/</BaseURL><BaseURL>a/</BaseURL>",
                            "<BaseURL>a/</BaseURL><BaseURL>http://cdn/</BaseURL>"}) {
    INFO(bases);
    const auto uris =
        uris_of(fmt::format("<MPD>{}<Period><SegmentURL media='1'/></Period></MPD>", bases));
    CHECK(uris ==
          (bases[9] == 'h' ? Uris{"*http://cdn/", "*a/", "1"} : Uris{"*a/", "*http://cdn/", "1"}));
  }
  CHECK(
      uris_of("<MPD><BaseURL>http://c/</BaseURL><BaseURL>http://d/</BaseURL><SegmentURL media='1'/>"
              "</MPD>") == Uris{"*http://c/", "*http://d/"});
}

TEST_CASE("an absolute base that becomes ours is no longer elsewhere", "[mpd]") {
  const auto changed = mpd::rewrite(
      "<MPD><BaseURL>http://a/b/</BaseURL><SegmentURL media='1'/></MPD>",
      [](std::string_view uri, UriUse use) {
        return std::optional<std::string>(use == UriUse::Base ? "/b/" : std::string(uri) + "?t");
      });
  CHECK(changed == "<MPD><BaseURL>/b/</BaseURL><SegmentURL media='1?t'/></MPD>");
}

TEST_CASE("the update period is an xs:duration", "[mpd]") {
  const auto period = [](std::string_view text) {
    return facts(fmt::format("<MPD minimumUpdatePeriod=\"{}\"/>", text)).minimum_update_period;
  };
  CHECK(period("PT2S") == 2s);
  CHECK(period("PT0S") == 0s);
  CHECK(period("P0Y0M1DT2H3M4.5S") == 93784500ms);
  CHECK(period("PT1000000S") == 1'000'000s);
  for (const char* text : {"", "2", "PT", "P1Y", "P1M", "PTS", "PT1", "PT-1S", "PT1X", "-PT1S",
                           "P1S", "PT1D", "PT1000001S", "PTinfS", "PT1ST1S"}) {
    INFO(text);
    const bool nothing = std::string_view(text) == "PT";
    CHECK(period(text) == (nothing ? std::optional(0ms) : std::nullopt));
  }
  CHECK_FALSE(facts("<MPD type='static'/>").dynamic);
  CHECK_FALSE(facts("<Period minimumUpdatePeriod='PT1S'/>").minimum_update_period);
  CHECK_FALSE(facts("<Period/>").manifest);
}

TEST_CASE("a manifest that readers could read differently is refused", "[mpd]") {
  for (const char* text :
       {"", "<MPD>", "<MPD><BaseURL>a<b/></BaseURL></MPD>",
        "<MPD><BaseURL>a<!-- -->b</BaseURL></MPD>", "<MPD><BaseURL>a&b;</BaseURL></MPD>",
        "<!DOCTYPE MPD><MPD/>", "<MPD><BaseURL>a<![CDATA[b]]></BaseURL></MPD>"}) {
    INFO(text);
    CHECK(refused(text) == Errc::Protocol);
  }
}

TEST_CASE("a manifest is read up to its limit and refused past it", "[mpd]") {
  const std::string text = "<MPD></MPD>";
  CHECK(mpd::inspect(text, {.bytes = text.size()}));
  const auto past = mpd::inspect(text, {.bytes = text.size() - 1});
  REQUIRE_FALSE(past);
  CHECK(past.error().code == Errc::Limit);
}
