#include "common/stream_key.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

std::string rtmp_key(std::string_view tc_url, std::string_view app, std::string_view stream) {
  auto name = stream_from_rtmp(tc_url, app, stream);
  return name ? name->key() : std::string(weir::name(name.error().code));
}

std::string http_key(std::string_view host, std::string_view target) {
  auto name = stream_from_http(host, target);
  return name ? name->key() : std::string(weir::name(name.error().code));
}

std::string srt_key(std::string_view host, std::string_view resource) {
  auto name = stream_from_srt(host, resource);
  return name ? name->key() : std::string(weir::name(name.error().code));
}

std::string vhost_of(std::string_view host) {
  auto name = stream_from_http(host, "/live/s.flv");
  return name ? name->vhost : std::string(weir::name(name.error().code));
}

std::string rtmp_args(std::string_view tc_url, std::string_view app, std::string_view stream) {
  return stream_from_rtmp(tc_url, app, stream).value().args;
}

const std::string kPlain = "__defaultVhost__/live/cam";
const std::string kNamed = "a.org/live/cam";

}  // namespace

TEST_CASE("every way to name a stream of the default vhost gives one key", "[stream_key]") {
  CHECK(rtmp_key("rtmp://127.0.0.1:1935/live", "live", "cam") == kPlain);
  CHECK(rtmp_key("rtmp://127.0.0.1/live", "live", "cam?token=1") == kPlain);
  CHECK(rtmp_key("rtmp://[::1]:1935/live", "live/", "/cam") == kPlain);
  CHECK(rtmp_key("rtmps://user:secret@origin:443//live", "/live", "cam/") == kPlain);
  CHECK(rtmp_key("rtmp://localhost/live", "", "cam") == kPlain);
  CHECK(rtmp_key("rtmp://localhost/live/_definst_", "live/_definst_", "cam") == kPlain);
  CHECK(rtmp_key("", "live", "cam") == kPlain);
  CHECK(http_key("127.0.0.1:8080", "/live/cam.flv") == kPlain);
  CHECK(http_key("[2001:db8::1]:80", "/live/cam.m3u8?token=1") == kPlain);
  CHECK(http_key("localhost", "//live///cam.ts") == kPlain);
  CHECK(http_key("", "/live/cam") == kPlain);
  CHECK(http_key("", "/%6cive/c%61m.flv") == kPlain);
}

TEST_CASE("every way to name a vhost gives one key", "[stream_key]") {
  CHECK(rtmp_key("rtmp://a.org/live", "live", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://A.Org.:1935/live", "live", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/live?vhost=a.org", "live?vhost=a.org", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/live?vhost=a.org", "live", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/live?vhost=a.org", "", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/live", "live", "cam?x=1&domain=a.org") == kNamed);
  CHECK(rtmp_key("rtmp://b.org/live", "live", "cam?domain=c.org&vhost=A.ORG:80") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/live?vhost=a.org/cam", "live?vhost=a.org/cam", "") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/x", "live...vhost...a.org", "cam") == kNamed);
  CHECK(rtmp_key("rtmp://1.2.3.4/x", "live...vhost...a.org/cam", "") == kNamed);
  CHECK(http_key("A.ORG:8080", "/live/cam.flv") == kNamed);
  CHECK(http_key("1.2.3.4", "/live/cam.flv?vhost=a.org") == kNamed);
  CHECK(http_key("b.org", "/live/cam.flv?vhost=&domain=a.org") == kNamed);
}

TEST_CASE("addresses and bare names are the default vhost", "[stream_key]") {
  for (std::string_view host : {"", "localhost", "origin-1:80", "10.0.0.1", "10.0.0.1:80", "[::1]",
                                "[fe80::1%25eth0]:80", "::1", "__defaultVhost__", "host."})
    CHECK(vhost_of(host) == kDefaultVhost);
  CHECK(vhost_of("cdn.example.com.") == "cdn.example.com");
  CHECK(vhost_of("4.example.4a") == "4.example.4a");
}

TEST_CASE("bad hosts are refused", "[stream_key]") {
  for (std::string_view host : {"a..b", ".a.b", "a.b..", ".", "a.b:x", "[::1", "[::1]x", "[:/:]",
                                "a b.c", "a/b.c", "a.b\r\n", "a\\b.c", "a%2eb"})
    CHECK(vhost_of(host) == (host == "." ? std::string(kDefaultVhost) : "protocol"));
}

TEST_CASE("app and stream split at the last slash in both protocols", "[stream_key]") {
  const std::string key = "__defaultVhost__/a/b/c";
  CHECK(rtmp_key("rtmp://h/a", "a", "b/c") == key);
  CHECK(rtmp_key("rtmp://h/a/b", "a/b", "c") == key);
  CHECK(rtmp_key("rtmp://h/a//b", "a//b", "//c") == key);
  CHECK(http_key("h", "/a/b/c.flv") == key);
  CHECK(rtmp_key("rtmp://h/a", "a?vhost=v.w/b", "c") == "v.w/a/b/c");
}

TEST_CASE("arguments are kept as they came and are no part of the key", "[stream_key]") {
  CHECK(rtmp_args("rtmp://h/live", "live", "cam?b=2&a=1&b=%20") == "b=2&a=1&b=%20");
  CHECK(rtmp_args("rtmp://h/live?x=1", "live?x=1", "cam?y=2") == "x=1&y=2");
  CHECK(rtmp_args("rtmp://h/live?x=1", "live", "cam") == "x=1");
  CHECK(rtmp_args("rtmp://h/live", "live?vhost=a.b/cam", "") == "vhost=a.b");
  CHECK(rtmp_args("rtmp://h/live", "live?vhost=a.b/cam&t=1", "") == "vhost=a.b&t=1");
  CHECK(rtmp_args("rtmp://h/live", "live?t=1/cam?vhost=a.b", "") == "t=1?vhost=a.b");
  CHECK(rtmp_args("rtmp://h/live", "live?token=a/b", "cam") == "token=a/b");
  CHECK(rtmp_args("rtmp://h/live", "live...vhost...a.b...token...x", "cam") == "vhost=a.b&token=x");
  CHECK(rtmp_args("rtmp://h/live", "live", "cam??a=1?b=2") == "a=1?b=2");
  CHECK(stream_from_http("h", "/live/cam.flv?a=/../&b").value().args == "a=/../&b");
}

TEST_CASE("an HTTP path has an extension or none", "[stream_key]") {
  auto flv = stream_from_http("h", "/live/my.cam.FLV").value();
  CHECK(flv.extension == "flv");
  CHECK(flv.stream == "my.cam");
  CHECK(flv.has_extension());
  CHECK_FALSE(stream_from_http("h", "/live.x/cam").value().has_extension());
  CHECK(stream_from_http("h", "/live.x/cam").value().app == "live.x");
  CHECK(stream_from_http("h", "/live/cam.").value().stream == "cam.");
  CHECK(stream_from_http("h", "/live/cam..flv").value().stream == "cam.");
  CHECK(stream_from_http("h", "/live/cam.notanextension").value().stream == "cam.notanextension");
}

TEST_CASE("a name without app or stream names nothing", "[stream_key]") {
  CHECK(rtmp_key("rtmp://h/live", "live", "") == "not_found");
  CHECK(rtmp_key("rtmp://h/live/cam", "live/cam", "") == "not_found");
  CHECK(rtmp_key("rtmp://h/live", "live", "/") == "not_found");
  CHECK(rtmp_key("rtmp://h/live", "live", "?vhost=a.b") == "not_found");
  CHECK(rtmp_key("rtmp://h/live", "live?vhost=a.b/", "") == "not_found");
  CHECK(rtmp_key("rtmp://h", "", "cam") == "not_found");
  CHECK(rtmp_key("rtmp://h/", "/", "cam") == "not_found");
  for (std::string_view target : {"/", "/live/", "/cam.flv", "/live/.flv", "/?a=/b/c", "//cam.flv"})
    CHECK(http_key("h", target) == "not_found");
}

TEST_CASE("names that climb, hide or break lines are refused", "[stream_key]") {
  for (std::string_view stream : {"..", "../cam", "a/../cam", "./cam", "cam/.", "a..b", "a\\b",
                                  "a\nb", "cam?a\r\n", "cam\x7f", "cam?vhost=a.b/c"})
    CHECK(rtmp_key("rtmp://h/live", "live", stream) == "protocol");
  CHECK(rtmp_key("rtmp://h/live", "live", std::string_view("a\0b", 3)) == "protocol");
  CHECK(rtmp_key("rtmp://h/live", "../live", "cam") == "protocol");
  CHECK(rtmp_key("rtmp://h/live\n", "live", "cam") == "protocol");
  CHECK(rtmp_key("h/live", "live", "cam") == "protocol");
  for (std::string_view target :
       {"/live/../cam.flv", "/live/%2e%2E/cam.flv", "/live/./cam.flv", "/live/a%2fb.flv",
        "/live/a%5cb.flv", "/live/a\\b.flv", "/live/a%00.flv", "/live/a%0d%0a.flv",
        "/live/a%3fb.flv", "/live/a%.flv", "/live/a%4", "/live/a%zz.flv", "/live/a.flv?\x01",
        "live/a.flv", "", "http://h/live/a.flv", "/live/...flv"})
    CHECK(http_key("h", target) == "protocol");
}

TEST_CASE("an escape is decoded once and RTMP names not at all", "[stream_key]") {
  CHECK(http_key("h", "/live/a%2541.flv") == "__defaultVhost__/live/a%41");
  CHECK(rtmp_key("rtmp://h/live", "live", "a%41") == "__defaultVhost__/live/a%41");
  CHECK(http_key("h", "/live/a%20b.flv") == rtmp_key("rtmp://h/live", "live", "a b"));
}

TEST_CASE("names are accepted at their limits and refused past them", "[stream_key]") {
  const auto fits = [](std::string_view url, std::string_view app, std::string_view stream) {
    return rtmp_key(url, app, stream) != "limit";
  };
  CHECK(fits("rtmp://h/a", std::string(128, 'a'), "s"));
  CHECK_FALSE(fits("rtmp://h/a", std::string(129, 'a'), "s"));
  CHECK(fits("rtmp://h/a", "a", std::string(256, 's')));
  CHECK_FALSE(fits("rtmp://h/a", "a", std::string(257, 's')));
  CHECK(fits("rtmp://h/" + std::string(2048 - 9, 'a'), "a", "s"));
  CHECK_FALSE(fits("rtmp://h/" + std::string(2048 - 8, 'a'), "a", "s"));
  CHECK(fits("", "a", "s?" + std::string(2048, 'x')));
  CHECK_FALSE(fits("", "a", "s?" + std::string(2049, 'x')));
  CHECK(vhost_of("a." + std::string(253, 'b')) == "a." + std::string(253, 'b'));
  CHECK(vhost_of("a." + std::string(254, 'b')) == "limit");
  CHECK(vhost_of("a." + std::string(253, 'b') + ".:65535").size() == 255);

  CHECK(http_key("h", "/" + std::string(128, 'a') + "/" + std::string(256, 's') + ".flv").size() >
        384);
  CHECK(http_key("h", "/" + std::string(129, 'a') + "/s.flv") == "limit");
  CHECK(http_key("h", "/a/" + std::string(257, 's') + ".flv") == "limit");
  CHECK(http_key("h", "/a/s.flv?" + std::string(2049, 'x')) == "limit");
  CHECK(http_key("h", "/" + std::string(10000, 'a')) == "limit");
}

TEST_CASE("a name is written so that it is read back as itself", "[stream_key]") {
  const StreamName name{"a.org", "a/b", "my cam%#1", "t=a b&vhost=a.org"};
  CHECK(tc_url(name, "10.0.0.1:1935") == "rtmp://a.org/a/b");
  CHECK(rtmp_stream(name) == "my cam%#1?t=a b&vhost=a.org");
  CHECK(http_path(name, "flv") == "/a/b/my%20cam%25%231.flv?t=a%20b&vhost=a.org");
  CHECK(http_key("a.org", http_path(name, "flv")) == name.key());
  CHECK(stream_from_rtmp(tc_url(name, ""), name.app, rtmp_stream(name)).value() == name);

  const StreamName plain{std::string(kDefaultVhost), "live", "cam", ""};
  CHECK(rtmp_url(plain, "10.0.0.1:1935") == "rtmp://10.0.0.1:1935/live/cam");
  CHECK(http_path(plain, "") == "/live/cam");
}

TEST_CASE("an RTSP address names the stream that RTMP and HTTP name", "[stream_key]") {
  const auto key = [](std::string_view uri) {
    const auto name = stream_from_rtsp(uri);
    return name ? name->key() : std::string(weir::name(name.error().code));
  };
  CHECK(key("rtsp://10.0.0.1:8554/live/cam") == "__defaultVhost__/live/cam");
  CHECK(key("rtsp://user:pass@A.org:554/live/cam/") == "a.org/live/cam");
  CHECK(key("rtsp://h/live/cam?token=1&vhost=a.org") == "a.org/live/cam");
  CHECK(stream_from_rtsp("rtsp://h/live/cam?token=1")->args == "token=1");
  CHECK(key("/live/cam") == "__defaultVhost__/live/cam");
  CHECK(key("rtsp://h/live/a%20b.v2") == "__defaultVhost__/live/a b.v2");
  CHECK(key("rtsp://h/cam") == "not_found");
  CHECK(key("rtsp://h/") == "not_found");
  CHECK(key("*") == "not_found");
  for (const std::string_view bad :
       {"rtsp://h/live/../cam", "rtsp://h/live/%2e%2e/cam", "rtsp://h/live/a%2fb",
        "rtsp://h/live/a\\b", "rtsp://h/live/a%0d%0a", "rtsp://h:x/live/cam"})
    CHECK(key(bad) == "protocol");
  CHECK(key("rtsp://h/" + std::string(128, 'a') + "/" + std::string(256, 's')).size() > 384);
  CHECK(key("rtsp://h/" + std::string(129, 'a') + "/s") == "limit");
  CHECK(key("rtsp://h/a/" + std::string(257, 's')) == "limit");
  CHECK(key("rtsp://h/a/s?" + std::string(2049, 'x')) == "limit");
  CHECK(key("rtsp://h/" + std::string(10000, 'a')) == "limit");
}

TEST_CASE("an SRT resource is a stream, of the app live if it names none", "[stream_key]") {
  CHECK(srt_key("", "live/cam") == kPlain);
  CHECK(srt_key("127.0.0.1:10080", "/live/cam?token=1") == kPlain);
  CHECK(srt_key("", "cam") == kPlain);
  CHECK(srt_key("", "/cam/") == kPlain);
  CHECK(srt_key("A.org", "live/cam") == kNamed);
  CHECK(srt_key("b.org", "live/cam?vhost=a.org") == kNamed);
  CHECK(stream_from_srt("", "live/cam?token=1")->args == "token=1");
}

TEST_CASE("an SRT resource that names no stream, climbs or is too long is refused",
          "[stream_key]") {
  for (const auto* none : {"", "/", "?x=1"}) CHECK(srt_key("", none) == "not_found");
  CHECK(srt_key("", "live/../cam") == "protocol");
  CHECK(srt_key("", ".") == "protocol");
  CHECK(srt_key("a/b", "live/cam") == "protocol");
  CHECK(srt_key("", std::string(kMaxStream, 'x')) ==
        "__defaultVhost__/live/" + std::string(kMaxStream, 'x'));
  CHECK(srt_key("", std::string(kMaxStream + 1, 'x')) == "limit");
}
