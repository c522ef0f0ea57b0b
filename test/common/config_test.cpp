#include "common/config.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <catch2/catch.hpp>

#include "common/options.h"

namespace weir {
namespace {

using namespace std::chrono_literals;

Config from_text(const std::string& text) {
  return Config::from_settings(read_ini(text, "weir.conf"));
}

Config from_environment(const Variables& variables, const std::string& dotenv = "") {
  ConfigSources sources;
  sources.environment = variables;
  sources.dotenv = dotenv;
  return Config::load(sources);
}

Config from_overrides(std::vector<std::string> overrides) {
  ConfigSources sources;
  sources.overrides = std::move(overrides);
  return Config::load(sources);
}

template <class Make>
std::string mistake(Make make) {
  try {
    make();
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  return "no mistake";
}

std::string mistake_in(const std::string& text) {
  return mistake([&] { from_text(text); });
}

// A file of its own that goes with the test.
struct TemporaryFile {
  explicit TemporaryFile(std::string_view text) {
    char name[] = "/tmp/weir-config-XXXXXX";
    ::close(::mkstemp(name));
    path = name;
    std::ofstream(path) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path); }
  std::string path;
};

}  // namespace

TEST_CASE("nothing configured means the defaults of the table", "[config]") {
  const Config config = Config::load({});
  CHECK(config.text("role") == "edge");
  CHECK(config.listen("listen.rtmp") == Endpoint{"", 1935});
  CHECK(config.listen("listen.system") == Endpoint{"127.0.0.1", 12025});
  CHECK(config.listen("listen.rtsp") == std::nullopt);
  CHECK(config.duration("viewer.stall_timeout") == 10s);
  CHECK(config.size("rtmp.max_message") == 8u << 20);
  CHECK(config.integer("limits.connections") == 16000);
  CHECK(config.optional_duration("edge.merge_window") == std::nullopt);
  CHECK(config.networks("system.allow").contains("127.0.0.1"));
  CHECK(config.upstreams().empty());
  CHECK(config.warnings().empty());
}

TEST_CASE("a later source wins: defaults, file, environment, --set, --role", "[config]") {
  const TemporaryFile file(
      "role = proxy\nworkers = 1\n[listen]\nrtmp = 1001\nhttp = 1002\napi = 1003\n");
  ConfigSources sources;
  sources.file = file.path;
  sources.environment = {{"WEIR_LISTEN_HTTP", "2002"}, {"WEIR_LISTEN_API", "2003"}};
  sources.overrides = {"listen.api=3003", "role=proxy"};
  sources.role = "edge";
  const Config config = Config::load(sources);
  CHECK(config.listen("listen.rtmp")->port == 1001);
  CHECK(config.listen("listen.http")->port == 2002);
  CHECK(config.listen("listen.api")->port == 3003);
  CHECK(config.text("role") == "edge");
  const auto printed = config.print();
  CHECK(printed.find("; " + file.path + ":4\n") != std::string::npos);
  CHECK(printed.find("; environment WEIR_LISTEN_HTTP\n") != std::string::npos);
  CHECK(printed.find("; --set\n") != std::string::npos);
  CHECK(printed.find("; --role\n") != std::string::npos);
  CHECK(printed.find("; default\n") != std::string::npos);
}

TEST_CASE("what is printed reads back as the same configuration", "[config]") {
  const Config config = from_text(
      "listen.rtmp = 1001\nnode.id = \"a ; \\\"b\\\" \\\\ \"\n[upstream.a]\nhost = h\nrtmp = 1\n"
      "http = [::1]:80\n[edge]\nmerge_window = 20ms\n");
  CHECK(config.text("node.id") == "a ; \"b\" \\ ");
  const Config again = from_text(config.print());
  for (const Option& option : options())
    if (!option.is_pattern()) CHECK(again.text(option.key) == config.text(option.key));
  REQUIRE(again.upstreams().size() == 1);
  CHECK(again.upstreams()[0].http == Endpoint{"::1", 80});
}

TEST_CASE("the default file read as it is, or with every line made active, changes nothing",
          "[config]") {
  auto text = default_config_text();
  CHECK(from_text(text).print() == Config::load({}).print());
  // An upstream without a host is a mistake, so these lines stay comments.
  const auto upstream = text.find("[upstream.default]");
  text.erase(upstream, text.find("\n[", upstream) - upstream);
  for (std::size_t at = 0; (at = text.find("\n; ", at)) != std::string::npos;)
    text.erase(at + 1, 2);
  const Config active = from_text(text);
  for (const Option& option : options())
    if (!option.is_pattern()) CHECK(active.text(option.key) == option.default_value);
}

TEST_CASE("files are forgiving about form", "[config]") {
  const Config config = from_text(
      "\xef\xbb\xbf# comment\r\n; comment\r\n\r\n  [ LISTEN ] ; here\r\n\tRtmp=1001 # ours\r\n"
      "http =\r\n[node]\nid = a;b#c ${HOME}\n");
  CHECK(config.listen("listen.rtmp")->port == 1001);
  CHECK(config.listen("listen.http") == std::nullopt);
  CHECK(config.text("node.id") == "a;b#c ${HOME}");
}

TEST_CASE("a mistake in a file is one line with file, line and key", "[config]") {
  CHECK(mistake_in("\n\n[listen]\nrtpm = 1\n") ==
        "weir.conf:4: listen.rtpm: unknown option, did you mean listen.rtmp?");
  CHECK(mistake_in("zebra = 1\n") == "weir.conf:1: zebra: unknown option, see weir --help=all");
  CHECK(mistake_in("workers = many\n") == "weir.conf:1: workers: 'many' is not a whole number");
  CHECK(mistake_in("workers = 257\n") == "weir.conf:1: workers: '257' is out of range (0..256)");
  CHECK(mistake_in("edge.linger = 10\n") ==
        "weir.conf:1: edge.linger: '10' needs a unit: ms, s, m, h or d");
  CHECK(mistake_in("role = king\n") == "weir.conf:1: role: 'king' is none of proxy|edge");
  CHECK(mistake_in("listen.rtmp = 70000\n")
            .starts_with("weir.conf:1: listen.rtmp: '70000' is no address"));
  CHECK(mistake_in("[edge]\nlinger = 1s\n[edge]\nLinger = 2s\n") ==
        "weir.conf:4: edge.linger: already set in line 2");
  CHECK(mistake_in("listen.rtmp = 1\n[listen]\nrtmp = 2\n") ==
        "weir.conf:3: listen.rtmp: already set in line 1");
  CHECK(mistake_in("hello\n") == "weir.conf:1: 'hello': expected key = value");
  CHECK(mistake_in("= 1\n") == "weir.conf:1: '= 1': expected key = value");
  CHECK(mistake_in("[listen\n") == "weir.conf:1: expected [section]");
  CHECK(mistake_in("[listen] rtmp = 1\n") == "weir.conf:1: expected [section]");
  CHECK(mistake_in("[]\n") == "weir.conf:1: a section needs a name");
  CHECK(mistake_in("node.id = \"a\n") == "weir.conf:1: node.id: unfinished quotes");
  CHECK(mistake_in("node.id = a\x01\n") == "weir.conf:1: control character");
  CHECK(mistake_in("no\tde = a\n").ends_with("expected key = value"));
  CHECK(mistake_in("[no\tde]\n") == "weir.conf:1: expected [section]");
  CHECK(mistake_in("upstream.*.host = a\n")
            .starts_with("weir.conf:1: upstream.*.host: unknown option"));
  CHECK(mistake_in("[upstream.a]\nhots = a\n") ==
        "weir.conf:2: upstream.a.hots: unknown option, did you mean upstream.a.host?");
}

TEST_CASE("a file that cannot be read is named", "[config]") {
  const auto load = [](const std::string& path) {
    return mistake([&] { Config::load({path, {}, {}, {}, {}}); });
  };
  CHECK(load("/nonexistent/weir.conf") == "'/nonexistent/weir.conf': No such file or directory");
  CHECK(load("/tmp") == "'/tmp': Is a directory");
  const TemporaryFile full(std::string(1 << 20, '\n'));
  CHECK(load(full.path) == "no mistake");
  const TemporaryFile large(std::string((1 << 20) + 1, '\n'));
  CHECK(load(large.path).ends_with("larger than 1 MiB"));
}

TEST_CASE("mistakes outside files name the variable or --set", "[config]") {
  CHECK(mistake([] { from_environment({{"WEIR_WORKERS", "x"}}); }) ==
        "environment WEIR_WORKERS: 'x' is not a whole number");
  CHECK(mistake([] {
          from_environment({{"PROXY_RTMP_SERVER", "x"}});
        }).starts_with("environment PROXY_RTMP_SERVER: 'x' is no address"));
  CHECK(mistake([] { from_environment({}, "\nWEIR_WORKERS=x"); }) ==
        ".env:2: WEIR_WORKERS: 'x' is not a whole number");
  CHECK(mistake([] { from_overrides({"workers"}); }) == "--set 'workers': expected KEY=VALUE");
  CHECK(mistake([] { from_overrides({"=3"}); }) == "--set '=3': expected KEY=VALUE");
  CHECK(mistake([] { from_overrides({"worker=3"}); }) ==
        "--set worker: unknown option, did you mean workers?");
  CHECK(mistake([] { from_overrides({"node.id=a\nb"}); }) ==
        "--set node.id: contains a control character");
  CHECK(mistake([] { Config::load({{}, {}, {}, {}, "king"}); }) ==
        "--role: 'king' is none of proxy|edge");
  CHECK_FALSE(mistake([] { from_overrides({"a\nb=3"}); }) == "no mistake");
}

TEST_CASE("options that contradict each other are refused", "[config]") {
  CHECK(mistake_in("[edge]\nretry_min = 5s\n") ==
        "weir.conf:2: edge.retry_min: edge.retry_min (5s) is longer than edge.retry_max (3s)");
  CHECK(mistake_in("shutdown.force = 1s\n") ==
        "weir.conf:1: shutdown.force: shutdown.grace (20s) is longer than shutdown.force (1s)");
  CHECK(mistake_in("listen.api = 8080\n") ==
        "weir.conf:1: listen.api: the same address as listen.http");
  CHECK(mistake_in("listen.rtmp = 8080\n") ==
        "weir.conf:1: listen.rtmp: the same address as listen.http");
  CHECK(mistake_in("listen.srt = 1935\nlisten.rtmp = 0\nlisten.http = 0\n") == "no mistake");
  CHECK(mistake_in("webrtc.candidates = 192.0.2.7, media.example.org:80000\n") ==
        "weir.conf:1: webrtc.candidates: 'media.example.org:80000' is no address or name");
  CHECK(mistake_in("webrtc.candidates = 8000\n") ==
        "weir.conf:1: webrtc.candidates: '8000' is no address or name");
  const auto candidates =
      from_text("webrtc.candidates = 192.0.2.7, [2001:db8::7]:30000,c,d,e,f,g,h\n")
          .hosts("webrtc.candidates");
  REQUIRE(candidates.size() == 8);
  CHECK(candidates[0] == Endpoint{"192.0.2.7", 0});
  CHECK(candidates[1] == Endpoint{"2001:db8::7", 30000});
  CHECK(mistake_in("webrtc.candidates = a,b,c,d,e,f,g,h,i\n") ==
        "weir.conf:1: webrtc.candidates: names more than 8 addresses");
  CHECK(mistake_in("redis.sentinels = a:26379, b:26379\n") ==
        "weir.conf:1: redis.sentinels: needs redis.master_name");
  CHECK(mistake_in("redis.user = weir\n") == "weir.conf:1: redis.user: needs redis.password");
}

TEST_CASE("options of TLS to Redis come together", "[config]") {
  CHECK(mistake_in("[redis]\ntls = on\ntls_cert = a\n") ==
        "weir.conf:3: redis.tls_cert: needs redis.tls_key");
  CHECK(mistake_in("[redis]\ntls = on\ntls_key = a\n") ==
        "weir.conf:3: redis.tls_key: needs redis.tls_cert");
  for (const std::string key : {"tls_ca", "tls_server_name"})
    CHECK(mistake_in("[redis]\n" + key + " = a\n") ==
          "weir.conf:2: redis." + key + ": needs redis.tls = on");
  CHECK(mistake_in("[redis]\ntls_cert = a\ntls_key = b\n") ==
        "weir.conf:2: redis.tls_cert: needs redis.tls = on");
  CHECK(mistake_in("[redis]\ntls = on\ntls_ca = a\ntls_cert = b\ntls_key = c\n"
                   "tls_server_name = d\nuser = e\npassword = f\n") == "no mistake");
}

}  // namespace weir
