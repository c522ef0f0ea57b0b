#include "cache/http_policy.h"

#include <catch2/catch.hpp>

#include "cache/update_interval.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

const http::Date kNow = http::Date(1767225600s);
const http::Request kGet{.method = "GET", .target = "/a"};

http::Response response(http::Headers headers, int status = 200) {
  return {.status = status, .headers = std::move(headers)};
}

HttpFreshness fresh(const http::Response& of, HttpKind kind = HttpKind::Other) {
  return freshness_of(kind, of, kNow, 0ms, {});
}

std::string date(std::chrono::seconds from_now) { return http::format_date(kNow + from_now); }

http::CacheControl asks(std::string_view control) {
  http::Headers headers;
  headers.add("Cache-Control", control);
  return request_control(headers);
}

}  // namespace

TEST_CASE("what is private, secret or partial is not stored", "[http_policy]") {
  CHECK(may_store(kGet, response({{"Cache-Control", "max-age=1"}})));
  CHECK(may_store(kGet, response({})));
  for (const char* control : {"no-store", "private", "private=\"a\", max-age=5"}) {
    INFO(control);
    CHECK_FALSE(may_store(kGet, response({{"Cache-Control", control}})));
  }
  for (const int status : {206, 304, 101}) {
    INFO(status);
    CHECK_FALSE(may_store(kGet, response({{"Cache-Control", "max-age=1"}}, status)));
  }
  CHECK_FALSE(may_store({.method = "POST"}, response({{"Cache-Control", "max-age=1"}})));
  CHECK_FALSE(may_store(kGet, response({{"Vary", "Accept, *"}})));
  http::Request secret = kGet;
  secret.headers.add("Cache-Control", "no-store");
  CHECK_FALSE(may_store(secret, response({{"Cache-Control", "max-age=1"}})));
}

TEST_CASE("a status that says nothing about caching needs a lifetime", "[http_policy]") {
  for (const int status : {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
    CHECK(may_store(kGet, response({}, status)));
  for (const int status : {201, 302, 403, 500, 502, 599}) {
    INFO(status);
    CHECK_FALSE(may_store(kGet, response({}, status)));
    CHECK(may_store(kGet, response({{"Expires", date(1s)}}, status)));
    CHECK(may_store(kGet, response({{"Cache-Control", "public"}}, status)));
  }
  CHECK_FALSE(may_store(kGet, response({{"Cache-Control", "max-age=1, must-understand"}}, 599)));
  CHECK(may_store(kGet, response({{"Cache-Control", "no-store, must-understand"}}, 200)));
}

TEST_CASE("answers to credentials and answers with cookies are for all only if the origin says so",
          "[http_policy]") {
  http::Request credentials = kGet;
  credentials.headers.add("Authorization", "Basic x");
  const http::Header cookie{"Set-Cookie", "a=b"};
  CHECK_FALSE(may_store(credentials, response({{"Cache-Control", "max-age=1"}})));
  CHECK_FALSE(may_store(kGet, response({{"Cache-Control", "max-age=1"}, cookie})));
  for (const char* control : {"public", "s-maxage=1"}) {
    INFO(control);
    CHECK(may_store(credentials, response({{"Cache-Control", control}})));
    CHECK(may_store(kGet, response({{"Cache-Control", control}, cookie})));
  }
  CHECK(may_store(credentials, response({{"Cache-Control", "must-revalidate"}})));
}

TEST_CASE("what the origin says comes in order: s-maxage, max-age, Expires", "[http_policy]") {
  const http::Header expires{"Expires", date(30s)};
  CHECK(fresh(response({{"Cache-Control", "max-age=9, s-maxage=5"}, expires})).lifetime == 5s);
  CHECK(fresh(response({{"Cache-Control", "max-age=9"}, expires})).lifetime == 9s);
  CHECK(fresh(response({expires})).lifetime == 30s);
  CHECK(fresh(response({expires, {"Date", date(10s)}})).lifetime == 20s);
  CHECK(fresh(response({{"Expires", "0"}})).lifetime == 0s);
  CHECK(fresh(response({expires, expires})).lifetime == 0s);
}

TEST_CASE("age counts from when the response was made", "[http_policy]") {
  CHECK(fresh(response({{"Date", date(-7s)}})).initial_age == 7s);
  CHECK(fresh(response({{"Date", date(7s)}})).initial_age == 0s);
  CHECK(fresh(response({{"Age", "5"}, {"Date", date(-3s)}})).initial_age == 5s);
  CHECK(fresh(response({{"Age", "0,7200"}})).initial_age == 0s);
  CHECK(freshness_of(HttpKind::Other, response({{"Age", "5"}}), kNow, 2s, {}).initial_age == 7s);
  for (const char* age : {"-1", "x", "5.0", "7200;a", ""}) {
    INFO(age);
    CHECK(fresh(response({{"Age", age}})).initial_age == http::CacheControl::kForever);
  }
  const http::Header twice{"Age", "0"};
  CHECK(fresh(response({twice, twice})).initial_age == http::CacheControl::kForever);
}

TEST_CASE("what the origin does not say is decided by type", "[http_policy]") {
  CHECK(fresh(response({}), HttpKind::Segment).lifetime == 60s);
  CHECK(fresh(response({}), HttpKind::Playlist).lifetime == 1s);
  CHECK(fresh(response({}), HttpKind::Playlist).from_interval);
  CHECK(fresh(response({}, 404), HttpKind::Segment).lifetime == 1s);
  CHECK(fresh(response({}, 404)).lifetime == 1s);
  CHECK(fresh(response({})).lifetime == 0s);
  CHECK(fresh(response({{"Last-Modified", date(-1000s)}})).lifetime == 100s);
  CHECK(fresh(response({{"Last-Modified", date(-1000h)}})).lifetime == 24h);
  CHECK(fresh(response({{"Last-Modified", date(-1000s)}}, 403)).lifetime == 0s);
  CHECK(fresh(response({{"Cache-Control", "max-age=0"}}), HttpKind::Segment).lifetime == 0s);
}

TEST_CASE("the kind is told by the name, else by the type", "[http_policy]") {
  CHECK(http_kind("/live/a.M3U8", "") == HttpKind::Playlist);
  CHECK(http_kind("/live/a.mpd", "text/plain") == HttpKind::Manifest);
  CHECK(http_kind("/live/a-1.ts", "") == HttpKind::Segment);
  CHECK(http_kind("/live/a", "application/vnd.apple.mpegurl; charset=utf-8") == HttpKind::Playlist);
  CHECK(http_kind("/live/a", "video/mp4") == HttpKind::Segment);
  CHECK(http_kind("/a.html", "text/html") == HttpKind::Other);
  CHECK(http_kind(".ts", "") == HttpKind::Other);
}

TEST_CASE("a playlist is worth half of its interval, and one interval without its origin",
          "[http_policy]") {
  HttpFreshness playlist = fresh(response({}), HttpKind::Playlist);
  apply_interval(playlist, 6s, false);
  CHECK(playlist.lifetime == 3s);
  CHECK(usable_on_error(playlist, 5999ms));
  CHECK_FALSE(usable_on_error(playlist, 6000ms));

  HttpFreshness blocking = fresh(response({}), HttpKind::Playlist);
  apply_interval(blocking, 6s, true);
  CHECK(blocking.lifetime == 36s);

  HttpFreshness told = fresh(response({{"Cache-Control", "max-age=2"}}), HttpKind::Playlist);
  apply_interval(told, 6s, false);
  CHECK(told.lifetime == 2s);
  CHECK(usable_on_error(told, 5999ms));

  HttpFreshness strict =
      fresh(response({{"Cache-Control", "max-age=2, must-revalidate"}}), HttpKind::Playlist);
  apply_interval(strict, 6s, false);
  CHECK_FALSE(usable_on_error(strict, 2001ms));
}

TEST_CASE("a fresh response is used, a stale one only as far as both sides allow",
          "[http_policy]") {
  const HttpFreshness plain = fresh(response({{"Cache-Control", "max-age=10"}}));
  CHECK(reuse_of(plain, 9999ms, {}) == HttpReuse::Fresh);
  CHECK(reuse_of(plain, 10s, {}) == HttpReuse::Validate);
  CHECK(reuse_of(plain, 5s, asks("no-cache")) == HttpReuse::Validate);
  CHECK(reuse_of(plain, 5s, asks("max-age=4")) == HttpReuse::Validate);
  CHECK(reuse_of(plain, 4s, asks("max-age=4")) == HttpReuse::Fresh);
  CHECK(reuse_of(plain, 5s, asks("min-fresh=5")) == HttpReuse::Validate);
  CHECK(reuse_of(plain, 5s, asks("min-fresh=4")) == HttpReuse::Fresh);
  CHECK(reuse_of(plain, 15s, asks("max-stale=5")) == HttpReuse::Fresh);
  CHECK(reuse_of(plain, 16s, asks("max-stale=5")) == HttpReuse::Validate);
  CHECK(reuse_of(plain, 1000s, asks("max-stale")) == HttpReuse::Fresh);

  const auto strict = fresh(response({{"Cache-Control", "max-age=10, proxy-revalidate"}}));
  CHECK(reuse_of(strict, 11s, asks("max-stale")) == HttpReuse::Validate);
  const auto uncached = fresh(response({{"Cache-Control", "max-age=10, no-cache"}}));
  CHECK(reuse_of(uncached, 0s, {}) == HttpReuse::Validate);
  const auto swr = fresh(response({{"Cache-Control", "max-age=10, stale-while-revalidate=5"}}));
  CHECK(reuse_of(swr, 15s, {}) == HttpReuse::Stale);
  CHECK(reuse_of(swr, 15001ms, {}) == HttpReuse::Validate);
}

TEST_CASE("a failing origin is hidden only while it may be", "[http_policy]") {
  const auto sie = fresh(response({{"Cache-Control", "max-age=10, stale-if-error=5"}}));
  CHECK(usable_on_error(sie, 14999ms));
  CHECK_FALSE(usable_on_error(sie, 15s));
  for (const char* strict : {"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"}) {
    INFO(strict);
    const std::string control = "max-age=10, stale-if-error=5, " + std::string(strict);
    CHECK_FALSE(usable_on_error(fresh(response({{"Cache-Control", control}})), 11s));
  }
  CHECK(is_origin_failure(502));
  CHECK_FALSE(is_origin_failure(501));
}

TEST_CASE("Pragma counts only without Cache-Control", "[http_policy]") {
  CHECK(request_control({{"Pragma", "no-cache"}}).no_cache);
  CHECK_FALSE(request_control({{"Pragma", "no-cache"}, {"Cache-Control", "x"}}).no_cache);
}

TEST_CASE("what can never be used again is not kept", "[http_policy]") {
  CHECK_FALSE(worth_storing(fresh(response({})), {}));
  CHECK_FALSE(worth_storing(fresh(response({{"Cache-Control", "max-age=5"}, {"Age", "5"}})), {}));
  CHECK(worth_storing(fresh(response({})), {{"ETag", "\"a\""}}));
  CHECK(worth_storing(fresh(response({{"Cache-Control", "max-age=1"}})), {}));
}

TEST_CASE("a 304 renews all fields but those of the body", "[http_policy]") {
  http::Headers stored{{"A", "1"}, {"Content-Length", "5"}, {"ETag", "\"a\""}, {"B", "1"}};
  update_headers(stored, {{"a", "2"}, {"a", "3"}, {"Content-Length", "9"}, {"ETag", "\"b\""}});
  CHECK(stored.find_all("A") == std::vector<std::string_view>{"2", "3"});
  CHECK(stored.find("B") == "1");
  CHECK(stored.find("Content-Length") == "5");
  CHECK(stored.find("ETag") == "\"a\"");
}

TEST_CASE("nothing of one hop is stored, and a Date always", "[http_policy]") {
  http::Headers headers{{"Connection", "X"}, {"X", "1"}, {"Trailer", "T"}, {"Y", "1"}};
  clean_for_storing(headers, kNow);
  CHECK(headers == http::Headers{{"Y", "1"}, {"Date", http::format_date(kNow)}});
}

TEST_CASE("a list tells how often it changes", "[update_interval]") {
  const auto media =
      update_interval(HttpKind::Playlist, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n");
  REQUIRE(media);
  CHECK(media->interval == 4s);
  CHECK_FALSE(media->unchanging);
  CHECK(update_interval(HttpKind::Playlist, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n")
            ->unchanging);
  CHECK(update_interval(HttpKind::Manifest, "<MPD type=\"dynamic\" minimumUpdatePeriod=\"PT2S\"/>")
            ->interval == 2s);
  CHECK_FALSE(
      update_interval(HttpKind::Manifest, "<MPD type=\"dynamic\" minimumUpdatePeriod=\"PT0S\"/>")
          ->interval);
  CHECK(update_interval(HttpKind::Manifest, "<MPD type=\"static\"/>")->unchanging);
  CHECK_FALSE(update_interval(HttpKind::Playlist, "\x1f\x8b compressed"));
  CHECK_FALSE(update_interval(HttpKind::Segment, "#EXTM3U\n"));
}
