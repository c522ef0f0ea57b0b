#include "proxy/top_screen.h"

#include <catch2/catch.hpp>

namespace weir {
namespace {

constexpr const char* kSummaries = R"({"code":0,"server":"edge-1","data":{
  "self":{"version":"1.2.3","srs_uptime":3720,"cpu_percent":0.04,"mem_kbyte":32768},
  "system":{"load_1m":2.674},
  "weir":{"role":"edge","state":"ready","clients":54,"publishers":1,"viewers":53,"streams":2,
          "kbps":{"recv_30s":740,"send_30s":39400},"loops":[0.41,0.034]}}})";
constexpr const char* kStreams = R"({"total":2,"streams":[
  {"stream_key":"__defaultVhost__/live/a","source":"upstream","upstream":"proxy-a","viewers":3,"age":72,
   "bitrate_kbps":740.4,"kbps":{"send_30s":2220},"video":{"codec":"h264"},"audio":{"codec":"aac"}},
  {"stream_key":"other.example/live/b","source":"publisher","upstream":"","viewers":50,"age":5,
   "bitrate_kbps":12500,"kbps":{"send_30s":0},"video":null,"audio":{"codec":"opus"}}]})";
constexpr const char* kUpstreams = R"({"upstreams":[
  {"id":"proxy-a","alive":true,"ejected":false,"drained":false,"streams":1},
  {"id":"proxy-b","alive":true,"ejected":true,"drained":false,"streams":0}]})";

TopPicture picture() { return *TopPicture::of(kSummaries, kStreams, kUpstreams); }

std::size_t width(const std::string& line) {
  return static_cast<std::size_t>(std::ranges::count_if(
      line, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

TEST_CASE("top reads a node out of its answers", "[top]") {
  const auto seen = picture();
  CHECK(seen.server == "edge-1");
  CHECK(seen.viewers == 53);
  CHECK(seen.loops == std::vector{0.41, 0.034});
  CHECK(seen.streams[0].name == "live/a");
  CHECK(seen.streams[0].source == "from proxy-a");
  CHECK(seen.streams[0].codecs == "h264 aac");
  CHECK(seen.streams[1].name == "other.example/live/b");
  CHECK(seen.streams[1].source == "published");
  CHECK(seen.streams[1].codecs == "opus");
  CHECK(seen.upstreams[1].state == "ejected");
}

TEST_CASE("top tells which answer was none", "[top]") {
  const auto trouble = [](const Result<TopPicture>& picture) {
    return picture ? "none" : picture.error().text;
  };
  CHECK(trouble(TopPicture::of("", kStreams, kUpstreams)) == "summaries: not the answer of a weir");
  CHECK(trouble(TopPicture::of(kSummaries, "[]", kUpstreams)) ==
        "streams: not the answer of a weir");
  CHECK(trouble(TopPicture::of(kSummaries, kStreams, "{\"upstreams\"")) ==
        "upstreams: not the answer of a weir");
  CHECK(trouble(TopPicture::of("{}", "{}", "{}")) == "none");
}

TEST_CASE("the screen has the node above its streams", "[top]") {
  const auto seen = picture();
  const auto lines = TopScreen{}.lines(&seen);
  REQUIRE(lines.size() == 8);
  CHECK(lines[0].starts_with("weir edge-1   edge, ready for 1h 02m"));
  CHECK(lines[0].ends_with("weir 1.2.3"));
  CHECK(lines[1] ==
        "viewers 53   publishers 1   clients 54   streams 2   upstreams 1 of 2 in use, proxy-b "
        "ejected");
  CHECK(lines[2] == "out 39.4 Mb/s   in 740 kb/s   process 4%   memory 32.0 MiB   load 2.67");
  CHECK(lines[3] == "loops   0 [####......]  41%   1 [..........]   3%");
  CHECK(lines[5].starts_with("STREAM"));
  CHECK(lines[6].starts_with("other.example/live/b published"));
  CHECK(lines[6].find("12.5 Mb/s       50") != std::string::npos);
  CHECK(lines[7].starts_with("live/a "));
}

TEST_CASE("streams come in the order that was asked for", "[top]") {
  const auto seen = picture();
  const auto first = [&](TopSort sort) {
    return TopScreen{.sort = sort}.lines(&seen)[6].substr(0, 6);
  };
  CHECK(first(TopSort::Viewers) == "other.");
  CHECK(first(TopSort::Rate) == "other.");
  CHECK(first(TopSort::Name) == "live/a");
  CHECK(first(TopSort::Age) == "live/a");
  for (const auto* word : {"viewers", "rate", "name", "age"})
    CHECK(name(*top_sort_named(word)) == word);
  CHECK_FALSE(top_sort_named("size"));
}

TEST_CASE("a screen of any size is filled and never overrun", "[top]") {
  auto seen = picture();
  seen.streams[0].name = "live/" + std::string(300, 'x') + "\xc3\xa9";
  for (const std::size_t columns : {1U, 2U, 11U, 12U, 40U, 80U, 100U, 500U}) {
    for (const std::size_t rows : {1U, 2U, 5U, 24U}) {
      const auto lines = TopScreen{.columns = columns, .rows = rows}.lines(&seen);
      CHECK(lines.size() == rows);
      for (const auto& line : lines) CHECK(width(line) <= columns);
    }
  }
  CHECK(TopScreen{.rows = 0}.lines(&seen).empty());
  CHECK(TopScreen{.first = 99}.lines(&seen).size() == 6);
  CHECK(TopScreen{.trouble = "gone"}.lines(nullptr)[0] == "gone");
}

TEST_CASE("nothing that a peer names can command the terminal", "[top]") {
  CHECK(printable("a\x1b[2Jb\r\n\x7f\t") == "a?[2Jb????");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");
  CHECK(printable("\xc3\xa9\xe2\x82\xac") == "\xc3\xa9\xe2\x82\xac");
  CHECK(printable("\xff") == "\xef\xbf\xbd");
  CHECK(printable("\xc2") == "\xef\xbf\xbd");
}

}  // namespace weir
