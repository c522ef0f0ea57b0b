#include "cache/http_key.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("a key is host, path and query as they are asked for", "[http_key]") {
  CHECK(http_cache_key("A.org:8080", "/live/a.m3u8?b=2&a=1", {}) ==
        "a.org:8080/live/a.m3u8?b=2&a=1");
  CHECK(http_cache_key("", "/", {}) == "/");
  CHECK(http_cache_key("a.org", "/A", {}) == "a.org/A");
}

TEST_CASE("ignored arguments are no part of it, those of LL-HLS are", "[http_key]") {
  const std::vector<std::string> ignored{"token", "session"};
  CHECK(http_cache_key("h", "/a?token=1&_HLS_msn=7&session=2&_HLS_part=0", ignored) ==
        "h/a?_HLS_msn=7&_HLS_part=0");
  CHECK(http_cache_key("h", "/a?token=1", ignored) == "h/a");
  CHECK(http_cache_key("h", "/a?token", ignored) == "h/a");
  CHECK(http_cache_key("h", "/a?tokens=1&&x", ignored) == "h/a?tokens=1&&x");
}

TEST_CASE("a reference names a key of the same host or none", "[http_key]") {
  const std::string base = "a.org/live/x/list?q=1";
  CHECK(http_cache_key_of_reference(base, "http://A.org/y#part") == "a.org/y");
  CHECK(http_cache_key_of_reference(base, "//a.org/y") == "a.org/y");
  CHECK(http_cache_key_of_reference(base, "/y?z=1") == "a.org/y?z=1");
  CHECK(http_cache_key_of_reference(base, "y") == "a.org/live/x/y");
  CHECK(http_cache_key_of_reference(base, "?z") == "a.org/live/x/list?z");
  CHECK(http_cache_key_of_reference(base, "") == "a.org/live/x/list");
  CHECK(http_cache_key_of_reference(base, "http://b.org/y").empty());
  CHECK(http_cache_key_of_reference(base, "//b.org/y").empty());
}
