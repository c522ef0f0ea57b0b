// Playlists and manifests through the relay, and the requests that their URIs lead to.
#include <spdlog/fmt/fmt.h>

#include <map>
#include <catch2/catch.hpp>

#include "proxy/playlist_relay.h"
#include "test/proxy/http_relay_rig.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace std::chrono_literals;
using test::HttpOrigin;
using test::HttpRig;
using Then = test::HttpOrigin::Then;

namespace {

constexpr std::string_view kPlaylist = "#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:1,\n7.ts\n";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string ok(std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", headers, body.size(),
                     body);
}

std::string get(std::string_view target, std::string_view headers = "",
                std::string_view method = "GET") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: a.org\r\nConnection: close\r\n{}\r\n", method, target,
                     headers);
}

std::string body_of(const std::string& heard) { return heard.substr(heard.find("\r\n\r\n") + 4); }

// The rig names an upstream by its port.
std::string token(const HttpOrigin& origin) {
  return origin_token(fmt::format("o{}", origin.port()));
}

std::string bound_to(const HttpOrigin& origin) {
  return fmt::format("#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4?weir_o={0}\"\n#EXTINF:1,\n7.ts?weir_o={0}\n",
                     token(origin));
}

HttpRelayOptions tokens() {
  HttpRelayOptions options;
  options.naming.on = true;
  return options;
}

// Answers each path with its own text, and says 404 else.
HttpOrigin::Answer pages(std::map<std::string, std::string> texts) {
  return
      [texts = std::move(texts)](const http::Request& request, const std::string&) -> std::string {
        const auto found = texts.find(request.target);
        if (found == texts.end()) return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        return ok(found->second);
      };
}

}  // namespace

TEST_CASE("a playlist's URIs name its origin, and lead there without the name", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin one(on, pages({{"/live/a.m3u8", std::string(kPlaylist)}, {"/live/7.ts?x", "one"}}));
    HttpOrigin two(on, pages({{"/live/7.ts?x", "two"}}));
    HttpRig rig(on, {{one.port(), 1}, {two.port(), 0}}, tokens());
    auto playlist = co_await rig.talk(get("/live/a.m3u8"));
    CHECK(body_of(playlist) == bound_to(one));
    CHECK(has(playlist, fmt::format("Content-Length: {}\r\n", bound_to(one).size())));
    for (const HttpOrigin* origin : {&one, &two, &one}) {
      auto segment = co_await rig.talk(get("/live/7.ts?x&weir_o=" + token(*origin)));
      CHECK(body_of(segment) == (origin == &one ? "one" : "two"));
    }
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a manifest is bound by its type alone, in chunks too", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request&, const std::string&) -> std::string {
      return "HTTP/1.1 200 OK\r\nContent-Type: application/dash+xml\r\nETag: \"e\"\r\n"
             "Transfer-Encoding: chunked\r\n\r\n1a\r\n<MPD><BaseURL>http://a.org\r\n"
             "18\r\n/v.mp4</BaseURL> </MPD>\n\r\n0\r\n\r\n";
    });
    HttpRig rig(on, {{origin.port()}}, tokens());
    auto heard = co_await rig.talk(get("/live/manifest"));
    CHECK(body_of(heard) ==
          fmt::format("<MPD><BaseURL>/v.mp4?weir_o={}</BaseURL> </MPD>\n", token(origin)));
    CHECK_FALSE(has(heard, "chunked"));
    CHECK_FALSE(has(heard, "ETag"));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a segment whose origin is gone is not found, and asked for nowhere else",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const test::QuietLog quiet;
    const test::RefusingPort dead;
    HttpOrigin origin(on, pages({{"/live/7.ts", "wrong"}}));
    HttpRig rig(on, {{dead.port(), 1}, {origin.port(), 0}}, tokens());
    const std::string gone = origin_token(fmt::format("o{}", dead.port()));
    for (const std::string& name :
         {gone, origin_token("nobody"), std::string("x"), std::string()}) {
      auto heard = co_await rig.talk(get("/live/7.ts?weir_o=" + name));
      CHECK(heard.starts_with("HTTP/1.1 404 "));
    }
    CHECK(origin.connections == 0);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a nested playlist whose origin is gone comes from where the stream is", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    const test::QuietLog quiet;
    const test::RefusingPort dead;
    HttpOrigin origin(on, pages({{"/live/a.m3u8", std::string(kPlaylist)}}));
    HttpRig rig(on, {{dead.port(), 1}, {origin.port(), 0}}, tokens());
    const std::string gone = origin_token(fmt::format("o{}", dead.port()));
    for (const std::string& name : {gone, gone, origin_token("nobody")}) {
      auto heard = co_await rig.talk(get("/live/a.m3u8?weir_o=" + name));
      CHECK(body_of(heard) == bound_to(origin));
    }
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a nested playlist that its origin has no more is asked for at the stream's",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin now(on, pages({{"/live/a.m3u8", std::string(kPlaylist)}}));
    HttpOrigin before(on, pages({}));
    HttpRig rig(on, {{now.port(), 1}, {before.port(), 0}}, tokens());
    auto moved = co_await rig.talk(get("/live/a.m3u8?weir_o=" + token(before)));
    CHECK(body_of(moved) == bound_to(now));
    CHECK(before.requests.size() == 1);
    auto nowhere = co_await rig.talk(get("/live/b.m3u8?weir_o=" + token(now)));
    CHECK(nowhere.starts_with("HTTP/1.1 404 "));
    auto bound = co_await rig.talk(get("/live/7.ts?weir_o=" + token(before)));
    CHECK(bound.starts_with("HTTP/1.1 404 "));
    CHECK(now.requests.size() == 2);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("two tiers agree: each takes its own token off", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, pages({{"/live/a.m3u8", std::string(kPlaylist)}, {"/live/7.ts", "it"}}));
    HttpRig far(on, {{origin.port()}}, tokens());
    auto options = tokens();
    options.node_id = "near";
    HttpRig near(on, {{far.port()}}, options);
    auto playlist = co_await near.talk(get("/live/a.m3u8"));
    const std::string both =
        fmt::format("weir_o={}.{}", origin_token(fmt::format("o{}", far.port())), token(origin));
    CHECK(has(playlist, "\n7.ts?" + both + "\n"));
    auto segment = co_await near.talk(get("/live/7.ts?" + both));
    CHECK(body_of(segment) == "it");
    CHECK(origin.requests.back().target == "/live/7.ts");
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a playlist is asked for whole, and its validators are those of what is sent",
          "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, [](const http::Request& request, const std::string&) -> std::string {
      if (request.headers.find("If-None-Match") == "\"e\"")
        return "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nLast-Modified: now\r\n\r\n";
      return ok(request.method == "HEAD" ? "" : kPlaylist,
                "ETag: \"e\"\r\nLast-Modified: now\r\nAccept-Ranges: bytes\r\n");
    });
    HttpRig rig(on, {{origin.port()}}, tokens());
    auto first = co_await rig.talk(get(
        "/live/a.m3u8", "Range: bytes=0-3\r\nAccept-Encoding: gzip\r\nIf-Modified-Since: x\r\n"));
    const std::string tag = fmt::format("ETag: W/\"e.weir-{}\"\r\n", token(origin));
    CHECK(first ==
          fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{}", tag,
                      bound_to(origin).size(), bound_to(origin)));
    for (const char* name : {"Range", "Accept-Encoding", "If-Modified-Since"})
      CHECK_FALSE(origin.requests.at(0).headers.has(name));
    auto again = co_await rig.talk(
        get("/live/a.m3u8", fmt::format("If-None-Match: W/\"e.weir-{}\"\r\n", token(origin))));
    CHECK(again == "HTTP/1.1 304 Not Modified\r\n" + tag + "Connection: close\r\n\r\n");
    auto head = co_await rig.talk(get("/live/a.m3u8", "", "HEAD"));
    CHECK(head == "HTTP/1.1 200 OK\r\n" + tag + "Connection: close\r\n\r\n");
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("what is no playlist, or encoded, goes through as it is", "[http_relay]") {
  const std::string answers[] = {
      ok("<html>", "Content-Type: text/html\r\nETag: \"e\"\r\nLast-Modified: x\r\n"),
      ok("#EXTM3U\na.ts\n", "Content-Encoding: gzip\r\n"), ok(""),
      "HTTP/1.1 404 Not Found\r\nContent-Type: audio/mpegurl\r\nContent-Length: 4\r\n\r\na.ts"};
  for (const std::string& answer : answers) {
    Loop loop;
    auto body = [](Loop& on, std::string expected) -> Task<void> {
      const test::QuietLog quiet;
      HttpOrigin origin(on, [&](const http::Request&, const std::string&) { return expected; });
      HttpRig rig(on, {{origin.port()}}, tokens());
      auto heard = co_await rig.talk(get("/live/a.m3u8"));
      const std::size_t blank = expected.find("\r\n\r\n") + 2;
      CHECK(heard == expected.substr(0, blank) + "Connection: close\r\n" + expected.substr(blank));
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, answer));
  }
}

TEST_CASE("a playlist is bound up to the limit and goes through untouched past it",
          "[http_relay]") {
  for (const bool chunked : {false, true}) {
    Loop loop;
    auto body = [](Loop& on, bool in_chunks) -> Task<void> {
      const test::QuietLog quiet;
      std::string text = "#EXTM3U\na.ts\n";
      while (text.size() < kMaxPlaylist) text.append("#").append(999, 'x').append("\n");
      text.resize(kMaxPlaylist);
      HttpOrigin origin(on, [&](const http::Request&, const std::string&) -> std::string {
        if (!in_chunks) return ok(text);
        return fmt::format(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            text.size(), text);
      });
      HttpRig rig(on, {{origin.port()}}, tokens());
      auto at_limit = co_await rig.talk(get("/live/a.m3u8"));
      CHECK(has(at_limit, "\na.ts?weir_o=" + token(origin) + "\n"));
      text += "#\n";
      auto past_it = co_await rig.talk(get("/live/a.m3u8"));
      CHECK(body_of(past_it) == text);
      co_await test::end_all_others(on);
    };
    test::run(loop, body(loop, chunked));
  }
}

TEST_CASE("a playlist that breaks off is no playlist", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(
        on,
        [](const http::Request&, const std::string&) -> std::string {
          return "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n#EXTM3U\n";
        },
        Then::Close);
    HttpRig rig(on, {{origin.port()}}, tokens());
    auto heard = co_await rig.talk(get("/live/a.m3u8"));
    CHECK(heard.starts_with("HTTP/1.1 502 "));
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}

TEST_CASE("without tokens of our own, a nearer tier's are left where they are", "[http_relay]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    HttpOrigin origin(on, pages({{"/live/a.m3u8?weir_o=t", std::string(kPlaylist)}}));
    HttpRig rig(on, {{origin.port()}});
    auto heard = co_await rig.talk(get("/live/a.m3u8?weir_o=t"));
    CHECK(body_of(heard) == kPlaylist);
    co_await test::end_all_others(on);
  };
  test::run(loop, body(loop));
}
