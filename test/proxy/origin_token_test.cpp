#include "proxy/origin_token.h"

#include <spdlog/fmt/fmt.h>

#include <set>
#include <catch2/catch.hpp>

using namespace weir;

namespace {

const std::string kToken = origin_token("o1");
const std::string kFarther = origin_token("o2");

OriginUris uris(std::string token = kToken, std::string_view host = "a.org:8080") {
  const Endpoint endpoints[] = {{"10.0.0.1", 8080}, {"origin.local", 80}};
  return {std::move(token), host, endpoints};
}

// T stands for the token in what is expected; "same" for a URI that stays as it is.
std::string bound(std::string_view uri, UriUse use = UriUse::Fetched) {
  std::string text = uris().bind(uri, use).value_or("same");
  const std::size_t at = text.find(kToken);
  return at == std::string::npos ? text : text.replace(at, kToken.size(), "T");
}

std::string base(std::string_view uri) { return bound(uri, UriUse::Base); }

struct Taken {
  std::optional<std::string> token;
  std::string target;
  bool operator==(const Taken&) const = default;
};
Taken take(std::string target) {
  auto token = take_origin_token(target);
  return {std::move(token), std::move(target)};
}

}  // namespace

TEST_CASE("a token is short, safe in a query, and every proxy's alike", "[origin_token]") {
  CHECK(origin_token("o1") == "ceasvvmza7o2a");
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(origin_token(fmt::format("origin-{}", i)));
  CHECK(tokens.size() == 1000);
  for (const std::string& token : tokens) {
    CHECK(token.size() == 13);
    CHECK(token.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567") == std::string::npos);
  }
}

TEST_CASE("relative URIs get the token as the last argument of their query", "[origin_token]") {
  CHECK(bound("a.ts") == "a.ts?weir_o=T");
  CHECK(bound("../b/./a.ts") == "../b/./a.ts?weir_o=T");
  CHECK(bound("/b/a.ts") == "/b/a.ts?weir_o=T");
  CHECK(bound("a.ts?x=%26&y") == "a.ts?x=%26&y&weir_o=T");
  CHECK(bound("a.ts?") == "a.ts?&weir_o=T");
  CHECK(bound("a.ts#t=1?x") == "a.ts?weir_o=T#t=1?x");
  CHECK(bound("a.ts?x#f") == "a.ts?x&weir_o=T#f");
  CHECK(bound("?x=1") == "?x=1&weir_o=T");
  CHECK(bound("$RepresentationID$/$Number%05d$.m4s") ==
        "$RepresentationID$/$Number%05d$.m4s?weir_o=T");
  CHECK(bound("12:30:00.ts") == "12:30:00.ts?weir_o=T");
  CHECK(bound("a.ts?token={$token}") == "a.ts?token={$token}&weir_o=T");
  CHECK(bound("a.ts?not_weir_o=1") == "a.ts?not_weir_o=1&weir_o=T");
}

TEST_CASE("absolute URIs to the origin, or to us as the viewer calls us, lead to us",
          "[origin_token]") {
  CHECK(bound("http://10.0.0.1:8080/b/a.ts?x") == "/b/a.ts?x&weir_o=T");
  CHECK(bound("HTTP://Origin.Local/a.ts#f") == "/a.ts?weir_o=T#f");
  CHECK(bound("http://origin.local:80") == "/?weir_o=T");
  CHECK(bound("http://A.org:8080/a.ts") == "/a.ts?weir_o=T");
  CHECK(bound("https://a.org:8080/a.ts") == "/a.ts?weir_o=T");
  CHECK(bound("//a.org:8080/a.ts") == "/a.ts?weir_o=T");
  CHECK(bound("http://a.org:8080//c/a.ts") == "/.//c/a.ts?weir_o=T");
  const auto portless = uris(kToken, "a.org");
  CHECK(portless.bind("http://a.org:80/x", UriUse::Base) == "/x");
  CHECK(portless.bind("https://a.org:443/x", UriUse::Base) == "/x");
  CHECK_FALSE(portless.bind("http://a.org:443/x", UriUse::Base));
}

TEST_CASE("whatever leads elsewhere stays as it is", "[origin_token]") {
  for (const char* text :
       {"https://cdn.example/a.ts", "http://10.0.0.1/a.ts", "https://10.0.0.1:8080/a.ts",
        "http://u@10.0.0.1:8080/a.ts", "//cdn.example/a.ts", "http:a.ts", "http:///a.ts",
        "ftp://a.org:8080/a.ts", "http://a.org:8080:8080/", "http://a.org.:8080/",
        "data:text/plain,a", "skd://key", "urn:mpeg:dash:resolve-to-zero:2013", "{$base}/a.ts",
        "\\\\cdn\\a.ts", "a\tb.ts", "", "#top"}) {
    INFO(text);
    CHECK(bound(text) == "same");
    CHECK_FALSE(uris(kToken, "").bind(text, UriUse::Fetched));
  }
}

TEST_CASE("a base is made ours without a token", "[origin_token]") {
  CHECK(base("dash/") == "same");
  CHECK(base("http://a.org:8080/dash/?x#f") == "/dash/?x#f");
  CHECK(base("http://cdn.example/dash/") == "same");
}

TEST_CASE("a URI that has the token already is left alone", "[origin_token]") {
  for (const char* text :
       {"a.ts", "a.ts?x", "/a?", "http://10.0.0.1:8080/a.ts#f", "//a.org:8080//b"}) {
    INFO(text);
    const auto once = uris().bind(text, UriUse::Fetched);
    REQUIRE(once);
    CHECK_FALSE(uris().bind(*once, UriUse::Fetched));
  }
}

TEST_CASE("a second tier puts its token before the first one's, once", "[origin_token]") {
  const auto far = uris(kFarther).bind("a.ts?x=1", UriUse::Fetched);
  REQUIRE(far);
  const auto near = uris().bind(*far, UriUse::Fetched);
  REQUIRE(near);
  CHECK(*near == fmt::format("a.ts?x=1&weir_o={}.{}", kToken, kFarther));
  CHECK_FALSE(uris().bind(*near, UriUse::Fetched));
  CHECK(take(*near) == Taken{kToken, *far});
  CHECK(take(*far) == Taken{kFarther, "a.ts?x=1"});
}

TEST_CASE("tiers are counted up to the limit, past it a URI stays as it is", "[origin_token]") {
  std::string uri = "a.ts";
  for (std::size_t i = 0; i < kMaxTiers; ++i) {
    const auto next = uris(origin_token(fmt::format("tier {}", i))).bind(uri, UriUse::Fetched);
    REQUIRE(next);
    uri = *next;
  }
  CHECK_FALSE(uris().bind(uri, UriUse::Fetched));
  for (std::size_t i = kMaxTiers; i-- > 0;)
    CHECK(take_origin_token(uri) == origin_token(fmt::format("tier {}", i)));
  CHECK(uri == "a.ts");
}

TEST_CASE("a request loses its token and nothing else", "[origin_token]") {
  for (const char* text : {"/a.ts", "/a.ts?", "/a.ts?x", "/a.ts?x=1&&y", "/a.ts?&"}) {
    INFO(text);
    const auto token = uris().bind(text, UriUse::Fetched);
    REQUIRE(token);
    CHECK(take(*token) == Taken{kToken, text});
    CHECK(take(text) == Taken{std::nullopt, text});
  }
  CHECK(take("/a?weir_o=t&_HLS_msn=3") == Taken{"t", "/a?_HLS_msn=3"});
  CHECK(take("/a?x&weir_o=t&_HLS_msn=3") == Taken{"t", "/a?x&_HLS_msn=3"});
  CHECK(take("/weir_o=t") == Taken{std::nullopt, "/weir_o=t"});
  CHECK(take("/a?weir_o") == Taken{std::nullopt, "/a?weir_o"});
  CHECK(take("/a?xweir_o=t") == Taken{std::nullopt, "/a?xweir_o=t"});
  CHECK(take("/a?weir_o=") == Taken{"", "/a"});
}

TEST_CASE("a token said twice is taken off twice, another tier's is passed on", "[origin_token]") {
  CHECK(take("/a?weir_o=t&x&weir_o=t") == Taken{"t", "/a?x"});
  CHECK(take("/a?weir_o=t.u&weir_o=t.u") == Taken{"t", "/a?weir_o=u&weir_o=u"});
  CHECK(take("/a?weir_o=t&weir_o=u") == Taken{"t", "/a?weir_o=u"});
}

TEST_CASE("among fixed upstreams only their own tokens are taken, and what has one is left",
          "[origin_token]") {
  const std::vector<std::string> ids{"one", "two"};
  const OriginNaming naming = OriginNaming::among(ids);
  CHECK(naming.on);
  CHECK_FALSE(OriginNaming::among(std::span(ids).first(1)).on);
  std::string target = "/7.ts?weir_o=far";
  CHECK_FALSE(take_origin_token(target, naming));
  CHECK(target == "/7.ts?weir_o=far");
  target = "/7.ts?weir_o=" + origin_token("two") + ".far";
  CHECK(take_origin_token(target, naming) == origin_token("two"));
  CHECK(target == "/7.ts?weir_o=far");
  const OriginUris uris(origin_token("one"), "", {}, naming);
  CHECK(uris.bind("7.ts", UriUse::Fetched) == "7.ts?weir_o=" + origin_token("one"));
  CHECK_FALSE(uris.bind("7.ts?weir_o=far", UriUse::Fetched));
}
