#include "proxy/access/hook.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

HookClient client() {
  return {.id = "c1",
          .ip = "192.0.2.7",
          .vhost = "__defaultVhost__",
          .app = "live",
          .stream = "cam",
          .param = "?token=x",
          .tc_url = "rtmp://h/live",
          .page_url = "http://p/"};
}

std::string body(HookEvent event) {
  HookOptions options;
  options.server_id = "node";
  options.service_id = "s1";
  return hook_body(event, client(), options, {.received = 7, .sent = 9});
}

const std::string kHead = R"({"server_id":"node","service_id":"s1","action":")";
const std::string kWho =
    R"(","client_id":"c1","ip":"192.0.2.7","vhost":"__defaultVhost__","app":"live")";

}  // namespace

TEST_CASE("callbacks get the fields that SRS sends", "[access]") {
  CHECK(body(HookEvent::Connect) ==
        kHead + "on_connect" + kWho + R"(,"tcUrl":"rtmp://h/live","pageUrl":"http://p/"})");
  CHECK(body(HookEvent::Close) == kHead + "on_close" + kWho + R"(,"send_bytes":9,"recv_bytes":7})");
  const std::string stream = R"(,"stream":"cam","param":"?token=x")";
  const std::string publish = body(HookEvent::Publish);
  CHECK(publish.starts_with(kHead + "on_publish" + kWho + R"(,"tcUrl":"rtmp://h/live")" + stream +
                            R"(,"stream_url":"/live/cam","stream_id":"vid-)"));
  CHECK(body(HookEvent::Unpublish).starts_with(kHead + "on_unpublish" + kWho + stream));
  CHECK(body(HookEvent::Play).find(R"("pageUrl":"http://p/")") != std::string::npos);
  CHECK(body(HookEvent::Stop).find("pageUrl") == std::string::npos);
}

TEST_CASE("what peers say that is no UTF-8 does not spoil a callback's JSON", "[access]") {
  HookClient odd = client();
  odd.stream = "a\xff\"\n\xc3\xa9\xc3";
  const std::string text = hook_body(HookEvent::Stop, odd, {});
  CHECK(text.find("a?\\\"\\n\xc3\xa9?") != std::string::npos);
}

TEST_CASE("only 0 and an object whose code is 0 say yes", "[access]") {
  for (const char* yes : {"0", " 0\r\n", "{\"code\":0}", "{\"code\": 0, \"data\":{}}"})
    CHECK(hook_allows(200, yes));
  CHECK(hook_allows(201, "0"));
  for (const char* no : {"", " ", "1", "00", "ok", "{}", "{\"code\":1}", "{\"code\":\"0\"}", "[0]",
                         "{\"code\":false}", "{\"code\":null}", "{\"code\":0"})
    CHECK_FALSE(hook_allows(200, no));
  for (const int status : {204, 302, 403, 404, 500}) CHECK_FALSE(hook_allows(status, "0"));
}

TEST_CASE("URLs of callbacks are http or https and have a host", "[access]") {
  const auto url = parse_hook_url("http://hook.example:8085/api/v1/streams?a=b");
  REQUIRE(url);
  CHECK(url->endpoint == Endpoint{"hook.example", 8085});
  CHECK(url->target == "/api/v1/streams?a=b");
  CHECK(parse_hook_url("http://[::1]")->endpoint == Endpoint{"::1", 80});
  CHECK(parse_hook_url("http://h")->target == "/");
  CHECK(parse_hook_url("HTTPS://h")->endpoint == Endpoint{"h", 443, true});
  CHECK(parse_hook_url("https://h:8443/x")->endpoint == Endpoint{"h", 8443, true});
  CHECK_FALSE(parse_hook_url("http://h")->endpoint.tls);
  for (const char* bad :
       {"", "h/x", "https:///x", "http:///x", "ftp://h/", "http://h/#x", "http://h:0/"})
    CHECK_FALSE(parse_hook_url(bad));
  CHECK(parse_hook_urls(" http://a/1, http://b/2 ")->size() == 2);
  CHECK(parse_hook_urls("")->empty());
  CHECK_FALSE(parse_hook_urls("http://a/1 nonsense"));
  std::string many;
  for (std::size_t i = 0; i < kMaxHookUrls; ++i) many += "http://a/ ";
  CHECK(parse_hook_urls(many)->size() == kMaxHookUrls);
  CHECK_FALSE(parse_hook_urls(many + "http://a/"));
}
