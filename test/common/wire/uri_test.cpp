#include "common/wire/uri.h"

#include <catch2/catch.hpp>

#include "common/wire/splice.h"

using namespace weir;

TEST_CASE("a URI reference falls into its parts", "[uri]") {
  const UriReference whole = split_uri("http://u@a.org:80/b/c?d=e?f#g#h");
  CHECK(whole.scheme == "http");
  CHECK(whole.authority == "u@a.org:80");
  CHECK(whole.path == "/b/c");
  CHECK(whole.query == "d=e?f");
  CHECK(whole.fragment == "g#h");
  CHECK_FALSE(whole.is_relative());
  const UriReference bare = split_uri("");
  CHECK(bare.path.empty());
  CHECK(bare.is_relative());
  CHECK_FALSE(bare.query);
  CHECK_FALSE(bare.fragment);
}

TEST_CASE("what is relative is told from what leads elsewhere", "[uri]") {
  for (const char* text : {"a.ts", "../a.ts", "/a/b.ts", "?x", "#y", "./a:b", "12:30.ts", "a/b:c",
                           "$Number%05d$.m4s", ":a", "/a?u=http://b"}) {
    INFO(text);
    CHECK(split_uri(text).is_relative());
  }
  for (const char* text :
       {"data:text/plain,a", "skd://key", "//cdn/a.ts", "HTTPS://a", "a+b-c.1:x"}) {
    INFO(text);
    CHECK_FALSE(split_uri(text).is_relative());
  }
}

TEST_CASE("an empty query is a query, and an authority may be empty or without a path", "[uri]") {
  CHECK(split_uri("a?").query == "");
  CHECK(split_uri("a#").fragment == "");
  CHECK(split_uri("file:///a").authority == "");
  CHECK(split_uri("http://a?b").authority == "a");
  CHECK(split_uri("http://a?b").path.empty());
}

TEST_CASE("a splice changes the parts that are replaced and nothing else", "[splice]") {
  const std::string_view source = "one two three";
  Splice splice(source);
  splice.replace(source.substr(0, 3), "1");
  splice.replace(source.substr(8), "");
  CHECK(std::move(splice).finish() == "1 two ");
  CHECK(Splice(source).finish() == source);
}
