#include "proxy/playlist_relay.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

http::Response response(http::Headers headers, int status = 200) {
  return {.status = status, .headers = std::move(headers)};
}

std::optional<std::string> released(std::string_view tags) {
  http::Headers request{{"If-None-Match", std::string(tags)}};
  release_tags(request, "mine");
  const auto left = request.find("If-None-Match");
  return left ? std::optional(std::string(*left)) : std::nullopt;
}

}  // namespace

TEST_CASE("playlists are told by the extension of their path", "[playlist_relay]") {
  for (const char* target : {"/a/b.m3u8", "/b.M3U8?x=/y.ts", "/b.m3u", "/b.mpd", "/b.mpp?x"})
    CHECK(names_playlist(target));
  for (const char* target : {"/b.ts", "/m3u8", "/a.m3u8/b", "/b.ts?x=.m3u8", "/b.m3u8x", "*", ""})
    CHECK_FALSE(names_playlist(target));
}

TEST_CASE("a response is a playlist by its type, else by its path", "[playlist_relay]") {
  using enum PlaylistType;
  for (const char* type : {"application/vnd.apple.mpegurl", "Application/X-MPEGURL; charset=utf-8",
                           "audio/mpegurl", "audio/x-mpegurl"})
    CHECK(playlist_type("/live/a", response({{"Content-Type", type}})) == Hls);
  CHECK(playlist_type("/live/a.m3u8", response({{"Content-Type", "application/dash+xml"}})) ==
        Dash);
  CHECK(playlist_type("/live/a.mpd", response({{"Content-Type", "text/xml"}})) == Dash);
  CHECK(playlist_type("/live/a.m3u8?x", response({})) == Hls);
  CHECK_FALSE(playlist_type("/live/a.ts", response({{"Content-Type", "video/mp2t"}})));
}

TEST_CASE("what is encoded, partial or an error is not read", "[playlist_relay]") {
  CHECK(playlist_type("/a.m3u8", response({{"Content-Encoding", "identity"}})));
  CHECK_FALSE(playlist_type("/a.m3u8", response({{"Content-Encoding", "gzip"}})));
  for (const int status : {206, 304, 404, 503})
    CHECK_FALSE(playlist_type("/a.m3u8", response({}, status)));
}

TEST_CASE("an entity tag carries the token and comes back without it", "[playlist_relay]") {
  for (const char* tag : {"\"e\"", "W/\"e\""}) {
    http::Headers headers{{"ETag", tag}, {"Last-Modified", "x"}, {"Content-MD5", "y"}};
    bind_validators(headers, "mine", true);
    CHECK(headers == http::Headers{{"ETag", "W/\"e.weir-mine\""}});
    CHECK(released(*headers.find("ETag")) == "\"e\"");
  }
  http::Headers lost{{"ETag", "\"e\""}};
  bind_validators(lost, "mine", false);
  CHECK(lost.empty());
  http::Headers bad{{"ETag", "e"}};
  bind_validators(bad, "mine", true);
  CHECK(bad.empty());
}

TEST_CASE("tags of other origins are not shown to this one", "[playlist_relay]") {
  CHECK(released("W/\"e.weir-other\"") == std::nullopt);
  CHECK(released("W/\"e.weir-other\", W/\"e.weir-mine\"") == "\"e\"");
  CHECK(released("\"e\", *") == "\"e\", *");
  CHECK(released("W/\"e.weir-far.weir-mine\"") == "\"e.weir-far\"");
  http::Headers none{{"Accept", "*/*"}};
  release_tags(none, "mine");
  CHECK(none == http::Headers{{"Accept", "*/*"}});
}

TEST_CASE("a playlist is asked for whole and as it is", "[playlist_relay]") {
  http::Headers request{{"Accept-Encoding", "gzip"}, {"Range", "bytes=0-1"},
                        {"If-Range", "\"e\""},       {"If-Modified-Since", "x"},
                        {"If-None-Match", "\"e\""},  {"User-Agent", "u"}};
  ask_for_whole(request);
  CHECK(request == http::Headers{{"If-None-Match", "\"e\""}, {"User-Agent", "u"}});
}

TEST_CASE("a tag of another tier is neither released nor dropped", "[playlist_relay]") {
  const OriginNaming naming{.on = true, .only = {"mine", "other"}};
  http::Headers request{{"If-None-Match", "W/\"e.weir-far\", W/\"e.weir-other\", \"e\""}};
  CHECK_FALSE(release_tags(request, "mine", naming));
  CHECK(request.find("If-None-Match") == "W/\"e.weir-far\", \"e\"");
  CHECK(is_bound_by_others(http::Headers{{"ETag", "W/\"e.weir-far\""}}, naming));
  for (const char* tag : {"W/\"e.weir-other\"", "\"e\"", "e"})
    CHECK_FALSE(is_bound_by_others(http::Headers{{"ETag", tag}}, naming));
  CHECK_FALSE(is_bound_by_others(http::Headers{{"ETag", "W/\"e.weir-far\""}}, {.on = true}));
}

TEST_CASE("media are told by their extension", "[playlist_relay]") {
  for (const char* target :
       {"/a/b.m3u8?x", "/b.mpd", "/b.FLV", "/b.ts", "/b.m4s", "/b.mp4?y=.html"})
    CHECK(names_media(target));
  for (const char* target : {"/", "/ts", "/b.html", "/b.ts/c", "/b.js?x=.ts", ""})
    CHECK_FALSE(names_media(target));
  CHECK(is_blocking_reload("/a.m3u8?_HLS_msn=3"));
  CHECK_FALSE(is_blocking_reload("/a.m3u8?_HLS_skip=YES"));
}
