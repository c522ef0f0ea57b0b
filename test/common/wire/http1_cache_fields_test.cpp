#include <catch2/catch.hpp>

#include "common/wire/http1_cache_control.h"
#include "common/wire/http1_cache_status.h"
#include "common/wire/http1_conditional.h"
#include "common/wire/http1_date.h"
#include "common/wire/http1_range.h"

using namespace weir::http;
using namespace std::chrono_literals;

namespace {

constexpr Date kBirthday =
    std::chrono::sys_days(std::chrono::year(1994) / 11 / 6) + 8h + 49min + 37s;
constexpr Date kNow = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);

CacheControl control(std::initializer_list<std::string_view> values) {
  Headers headers;
  for (const auto value : values) headers.add("Cache-Control", value);
  return cache_control_of(headers);
}

std::string shown(const CacheStatus& status, std::string_view cache = "weir") {
  std::string text;
  append_cache_status(cache, status, text);
  return text;
}

}  // namespace

TEST_CASE("a date is read in all three forms and written in the first", "[http1_date]") {
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == kBirthday);
  CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow) == kBirthday);
  CHECK(parse_date("Sun Nov  6 08:49:37 1994", kNow) == kBirthday);
  CHECK(format_date(kBirthday) == "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST_CASE("two digits of a year mean no date more than fifty years ahead", "[http1_date]") {
  const auto year_of = [](std::string_view text) {
    return int(
        std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(*parse_date(text, kNow)))
            .year());
  };
  CHECK(year_of("Sunday, 06-Nov-76 00:00:00 GMT") == 2076);
  CHECK(year_of("Sunday, 06-Nov-77 00:00:00 GMT") == 1977);
}

TEST_CASE("what is almost a date is none", "[http1_date]") {
  for (const char* text : {"", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1600 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT "}) {
    INFO(text);
    CHECK_FALSE(parse_date(text, kNow));
  }
}

TEST_CASE("directives are read without case, over several fields and past quoted strings",
          "[http1_cache_control]") {
  const auto said = control({"No-Store, MAX-AGE=5", "ext=\"max-age=9, private\", s-maxage=\"7\""});
  CHECK(said.no_store);
  CHECK(said.max_age == 5s);
  CHECK(said.s_maxage == 7s);
  CHECK_FALSE(said.is_private);
  CHECK(control({"private=\"x\", no-cache=\"y\""}).is_private);
  CHECK(control({}) == CacheControl{});
}

TEST_CASE("of two lifetimes the shorter one counts, and one that is no number is zero",
          "[http1_cache_control]") {
  CHECK(control({"max-age=9, max-age=5"}).max_age == 5s);
  for (const char* text : {"max-age=-1", "max-age", "max-age=", "max-age='5'", "max-age=5.5",
                           "max-age= 5", "max-age=5x"}) {
    INFO(text);
    CHECK(control({text}).max_age == 0s);
  }
  CHECK_FALSE(control({"max-age =5"}).max_age);
  CHECK(control({"max-age=99999999999999999999"}).max_age == CacheControl::kForever);
  CHECK(control({"max-age=2147483648"}).max_age == CacheControl::kForever);
  CHECK(control({"max-age=2147483647"}).max_age == 2147483647s);
}

TEST_CASE("a request says how stale or fresh it wants it", "[http1_cache_control]") {
  CHECK(control({"max-stale"}).max_stale == CacheControl::kForever);
  CHECK(control({"max-stale=3"}).max_stale == 3s);
  CHECK(control({"min-fresh=3, min-fresh=8"}).min_fresh == 8s);
  CHECK(control({"min-fresh=x"}).min_fresh == CacheControl::kForever);
  CHECK(control({"only-if-cached"}).only_if_cached);
}

TEST_CASE("one range of bytes is understood", "[http1_range]") {
  CHECK(resolve(*parse_range("bytes=0-99"), 1000) == Extent{0, 100});
  CHECK(resolve(*parse_range("Bytes=900-"), 1000) == Extent{900, 100});
  CHECK(resolve(*parse_range("bytes=-10"), 1000) == Extent{990, 10});
  CHECK(resolve(*parse_range("bytes=-5000"), 1000) == Extent{0, 1000});
  CHECK(resolve(*parse_range("bytes=990-5000"), 1000) == Extent{990, 10});
  CHECK(resolve(*parse_range("bytes=999-999"), 1000) == Extent{999, 1});
}

TEST_CASE("a range past the end cannot be satisfied", "[http1_range]") {
  CHECK_FALSE(resolve(*parse_range("bytes=1000-"), 1000));
  CHECK_FALSE(resolve(*parse_range("bytes=-0"), 1000));
  CHECK_FALSE(resolve(*parse_range("bytes=0-"), 0));
  CHECK_FALSE(resolve(*parse_range("bytes=-5"), 0));
}

TEST_CASE("several ranges, other units and nonsense are ignored", "[http1_range]") {
  for (const char* text :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "bytes=0-1,3-4", "lines=0-1",
        "bytes=+1-2", "bytes=1-2-3", "bytes=99999999999999999999-"}) {
    INFO(text);
    CHECK_FALSE(parse_range(text));
  }
  CHECK(content_range(Extent{0, 100}, 1000) == "bytes 0-99/1000");
  CHECK(content_range(std::nullopt, 1000) == "bytes */1000");
}

TEST_CASE("an entity tag decides before a date does", "[http1_conditional]") {
  const std::string date = format_date(kBirthday);
  const Headers stored{{"ETag", "\"a,b\""}, {"Last-Modified", date}};
  CHECK(not_modified({{"If-None-Match", "\"x\", W/\"a,b\""}}, stored, kNow));
  CHECK(not_modified({{"If-None-Match", "*"}}, stored, kNow));
  CHECK_FALSE(
      not_modified({{"If-None-Match", "\"a\""}, {"If-Modified-Since", date}}, stored, kNow));
  CHECK(not_modified({{"If-Modified-Since", date}}, stored, kNow));
  CHECK_FALSE(not_modified({{"If-Modified-Since", format_date(kBirthday - 1s)}}, stored, kNow));
  CHECK_FALSE(not_modified({{"If-Modified-Since", "nonsense"}}, stored, kNow));
  CHECK_FALSE(not_modified({}, stored, kNow));
  CHECK_FALSE(not_modified({{"If-None-Match", "\"a\""}}, {}, kNow));
}

TEST_CASE("a range with a condition is for just that response", "[http1_conditional]") {
  const std::string date = format_date(kBirthday);
  const Headers strong{{"ETag", "\"a\""}, {"Last-Modified", date}};
  CHECK(range_applies({}, strong, kNow));
  CHECK(range_applies({{"If-Range", "\"a\""}}, strong, kNow));
  CHECK(range_applies({{"If-Range", date}}, strong, kNow));
  CHECK_FALSE(range_applies({{"If-Range", "\"b\""}}, strong, kNow));
  CHECK_FALSE(range_applies({{"If-Range", "W/\"a\""}}, {{"ETag", "W/\"a\""}}, kNow));
  CHECK_FALSE(range_applies({{"If-Range", format_date(kBirthday + 1s)}}, strong, kNow));
}

TEST_CASE("what the cache did is told as RFC 9211 wants it", "[http1_cache_status]") {
  CacheStatus hit;
  hit.ttl = 30s;
  CHECK(shown(hit) == "weir; hit; ttl=30");
  CacheStatus miss;
  miss.forwarded = CacheStatus::Forwarded::UriMiss;
  miss.stored = true;
  miss.collapsed = true;
  CHECK(shown(miss) == "weir; fwd=uri-miss; stored; collapsed");
  CacheStatus stale;
  stale.forwarded = CacheStatus::Forwarded::Stale;
  stale.status = 304;
  CHECK(shown(stale, "7f\"") == "\"7f\\\"\"; fwd=stale; fwd-status=304");
}
