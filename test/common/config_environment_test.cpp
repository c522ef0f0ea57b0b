// The environment, .env files, the earlier proxy's variables, and upstreams from all of these.
#include <catch2/catch.hpp>

#include "common/config.h"

namespace weir {
namespace {

using namespace std::chrono_literals;

Config load(const Variables& variables, const std::string& dotenv = "",
            const std::vector<std::string>& overrides = {}) {
  return Config::load({{}, variables, dotenv, overrides, {}});
}

std::string mistake_of(const std::vector<std::string>& overrides) {
  try {
    load({}, "", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no mistake";
}

}  // namespace

TEST_CASE("the earlier proxy's environment works as it is", "[config]") {
  const Config config = load({{"PROXY_RTMP_SERVER", "11935"},
                              {"PROXY_HTTP_SERVER", ":18080"},
                              {"PROXY_HTTP_API", "127.0.0.1:11985"},
                              {"PROXY_WEBRTC_SERVER", "18000"},
                              {"PROXY_SRT_SERVER", "20080"},
                              {"PROXY_SYSTEM_API", "12025"},
                              {"PROXY_STATIC_FILES", "/srv/www"},
                              {"PROXY_LOAD_BALANCER_TYPE", "memory"},
                              {"PROXY_REDIS_PASSWORD", "tell-nobody"},
                              {"PROXY_REDIS_DB", ""},
                              {"PROXY_GRACE_QUIT_TIMEOUT", "1m"},
                              {"PROXY_FORCE_QUIT_TIMEOUT", "1m30s"}});
  CHECK(config.listen("listen.rtmp") == Endpoint{"", 11935});
  CHECK(config.listen("listen.http") == Endpoint{"", 18080});
  CHECK(config.listen("listen.api") == Endpoint{"127.0.0.1", 11985});
  CHECK(config.listen("listen.webrtc")->port == 18000);
  CHECK(config.listen("listen.srt")->port == 20080);
  CHECK(config.listen("listen.system") == Endpoint{"", 12025});
  CHECK(config.text("http.root") == "/srv/www");
  CHECK(config.text("redis.password") == "tell-nobody");
  CHECK(config.integer("redis.db") == 0);
  CHECK(config.duration("shutdown.grace") == 60s);
  CHECK(config.duration("shutdown.force") == 90s);
  CHECK(config.print().find("tell-nobody") == std::string::npos);
}

TEST_CASE("the earlier proxy's default backend counts only when it is enabled", "[config]") {
  const Variables backend{{"PROXY_DEFAULT_BACKEND_IP", "10.0.0.7"},
                          {"PROXY_DEFAULT_BACKEND_HTTP", "8081"}};
  CHECK(load(backend).upstreams().empty());

  auto enabled = backend;
  enabled.emplace_back("PROXY_DEFAULT_BACKEND_ENABLED", "on");
  const auto upstreams = load(enabled).upstreams();
  REQUIRE(upstreams.size() == 1);
  CHECK(upstreams[0].name == "default");
  CHECK(upstreams[0].rtmp == Endpoint{"10.0.0.7", 1935});
  CHECK(upstreams[0].http == Endpoint{"10.0.0.7", 8081});
  CHECK(upstreams[0].api == Endpoint{"10.0.0.7", 1985});
  CHECK(upstreams[0].webrtc == Endpoint{"10.0.0.7", 8000});
  CHECK(upstreams[0].srt == std::nullopt);
}

TEST_CASE("a WEIR_ name wins over a PROXY_ name", "[config]") {
  const Config config = load({{"WEIR_LISTEN_RTMP", "1001"}, {"PROXY_RTMP_SERVER", "1002"}});
  CHECK(config.listen("listen.rtmp")->port == 1001);
}

TEST_CASE("a .env file is read and the real environment wins over it", "[config]") {
  const Config config = load({{"PROXY_HTTP_API", "1003"}},
                             "# comment\n\nexport PROXY_RTMP_SERVER=1001 # ours\n"
                             "PROXY_HTTP_SERVER=\"1002\"\nWEIR_NODE_ID='a b # c'\n"
                             "PROXY_HTTP_API = 9999\nOTHER=x\nnonsense\n");
  CHECK(config.listen("listen.rtmp")->port == 1001);
  CHECK(config.listen("listen.http")->port == 1002);
  CHECK(config.listen("listen.api")->port == 1003);
  CHECK(config.text("node.id") == "a b # c");
  CHECK(config.warnings() == std::vector<std::string>{".env:8: ignored, it is not NAME=VALUE"});
  CHECK_THROWS_AS(load({}, "WEIR_NODE_ID='a"), ConfigError);
  CHECK_THROWS_AS(load({}, "WEIR_NODE_ID=\"a"), ConfigError);
}

TEST_CASE("unknown WEIR_ variables are told, not obeyed", "[config]") {
  const Config config = load({{"WEIR_SERVICE_HOST", "10.0.0.1"},
                              {"WEIR_REDIS_PORT", "tcp://10.0.0.1:6379"},
                              {"WEIR_UPSTREAM_X_SERVICE_HOST", "10.0.0.1"},
                              {"WEIRD", "1"}});
  CHECK(config.warnings().size() == 3);
  CHECK(config.warnings()[0] == "environment WEIR_REDIS_PORT: ignored, no such option");
  CHECK(config.integer("redis.port") == 6379);
  CHECK(config.upstreams().empty());
}

TEST_CASE("upstreams come from every source", "[config]") {
  const auto file =
      read_ini("[upstream.origin-1]\nhost = a.example\nrtmp = 1935\nweight = 3\nzone = x\n", "f");
  const auto environment = read_environment(
      {{"WEIR_UPSTREAM_ORIGIN_1_HOST", "b.example"}, {"WEIR_UPSTREAM_TWO_RTMP", "c.example:1936"}},
      "", file);
  auto settings = file;
  for (const auto& setting : environment.settings) settings.push_back(setting);
  settings.push_back(read_override("upstream.three.http=[::1]:80"));
  const auto upstreams = Config::from_settings(settings).upstreams();
  REQUIRE(upstreams.size() == 3);
  CHECK(upstreams[0].name == "origin-1");
  CHECK(upstreams[0].rtmp == Endpoint{"b.example", 1935});
  CHECK(upstreams[0].weight == 3);
  CHECK(upstreams[0].zone == "x");
  CHECK(upstreams[1].name == "three");
  CHECK(upstreams[1].http == Endpoint{"::1", 80});
  CHECK(upstreams[2].name == "two");
  CHECK(upstreams[2].rtmp == Endpoint{"c.example", 1936});
  CHECK(upstreams[2].weight == 1);
}

TEST_CASE("an upstream that cannot be reached is a mistake", "[config]") {
  CHECK(mistake_of({"upstream.a.rtmp=1935"}) ==
        "--set upstream.a.rtmp: needs upstream.a.host, an address or a name");
  CHECK(mistake_of({"upstream.a.host=not a host", "upstream.a.rtmp=1935"}) ==
        "--set upstream.a.rtmp: needs upstream.a.host, an address or a name");
  CHECK(
      mistake_of({"upstream.a.host=h"}) ==
      "--set upstream.a.host: upstream.a needs at least one of rtmp, http, api, webrtc, srt, rtsp");
  CHECK(mistake_of({"upstream.a.rtmp=10.0.0.1"}) == "--set upstream.a.rtmp: needs a port");
  CHECK(mistake_of({"upstream.a.host=h", "upstream.a.rtmp=1", "upstream.a.weight=0"}) ==
        "--set upstream.a.weight: '0' is out of range (1..1000)");
  CHECK(mistake_of({"upstream.a.host=h", "upstream.a.enabled=off"}) == "no mistake");
}

}  // namespace weir
