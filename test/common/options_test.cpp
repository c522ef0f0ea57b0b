#include "common/options.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <set>
#include <sstream>
#include <catch2/catch.hpp>

#ifndef WEIR_SOURCE_DIR
#define WEIR_SOURCE_DIR "."
#endif

namespace weir {
namespace {

using namespace std::chrono_literals;

std::string repository_file(const std::string& path) {
  std::ifstream file(WEIR_SOURCE_DIR "/" + path, std::ios::binary);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool accepts(std::string_view key, std::string_view value) {
  const Option* option = find_option(key);
  REQUIRE(option != nullptr);
  return check_value(option->kind, option->allowed, value).has_value();
}

}  // namespace

TEST_CASE("etc/weir.conf is what the table says", "[options]") {
  // When this fails: build/debug/weir --print-default-config > etc/weir.conf
  CHECK(repository_file("etc/weir.conf") == default_config_text());
}

TEST_CASE("every option is documented, valid by default and in a documented section", "[options]") {
  std::set<std::string_view> keys;
  std::set<std::string_view> known;
  for (const Section& section : sections()) known.insert(section.name);
  for (const Option& option : options()) {
    INFO(option.key);
    CHECK(keys.insert(option.key).second);
    CHECK(known.contains(option.section()));
    CHECK(option.doc.ends_with('.'));
    CHECK(check_value(option.kind, option.allowed, option.default_value));
    CHECK(default_config_text().find(fmt::format("; {} =", option.name())) != std::string::npos);
    CHECK(options_help("all").find(option.key) != std::string::npos);
  }
}

TEST_CASE("no two options share a name in the environment", "[options]") {
  std::set<std::string> names;
  for (const Option& option : options()) {
    CHECK(names.insert(environment_name(option.key)).second);
    if (!option.proxy_env.empty()) CHECK(names.insert(std::string(option.proxy_env)).second);
  }
  CHECK(environment_name("listen.rtmp") == "WEIR_LISTEN_RTMP");
  CHECK(environment_name("edge.merge_max") == "WEIR_EDGE_MERGE_MAX");
}

TEST_CASE("every variable of the earlier proxy is mapped", "[options]") {
  for (const char* name : {"PROXY_RTMP_SERVER",
                           "PROXY_HTTP_SERVER",
                           "PROXY_HTTP_API",
                           "PROXY_WEBRTC_SERVER",
                           "PROXY_SRT_SERVER",
                           "PROXY_SYSTEM_API",
                           "PROXY_STATIC_FILES",
                           "PROXY_LOAD_BALANCER_TYPE",
                           "PROXY_REDIS_HOST",
                           "PROXY_REDIS_PORT",
                           "PROXY_REDIS_PASSWORD",
                           "PROXY_REDIS_DB",
                           "PROXY_DEFAULT_BACKEND_ENABLED",
                           "PROXY_DEFAULT_BACKEND_IP",
                           "PROXY_DEFAULT_BACKEND_RTMP",
                           "PROXY_DEFAULT_BACKEND_HTTP",
                           "PROXY_DEFAULT_BACKEND_API",
                           "PROXY_DEFAULT_BACKEND_RTC",
                           "PROXY_DEFAULT_BACKEND_SRT",
                           "PROXY_GRACE_QUIT_TIMEOUT",
                           "PROXY_FORCE_QUIT_TIMEOUT"}) {
    INFO(name);
    CHECK(std::ranges::count(options(), std::string_view(name), &Option::proxy_env) == 1);
  }
}

TEST_CASE("sections of upstreams take any simple name", "[options]") {
  CHECK(find_option("upstream.a.host") == find_option("upstream.origin-1_b.host"));
  CHECK(find_option("upstream..host") == nullptr);
  CHECK(find_option("upstream.a.b.host") == nullptr);
  CHECK(find_option("upstream.host") == nullptr);
  CHECK(find_option("upstream.A b.host") == nullptr);
}

TEST_CASE("a mistyped key finds the one that was meant", "[options]") {
  CHECK(nearest_key("listen.rtpm") == "listen.rtmp");
  CHECK(nearest_key("lisen.http") == "listen.http");
  CHECK(nearest_key("edge.mergemax") == "edge.merge_max");
  CHECK(nearest_key("upstream.a.hots") == "upstream.a.host");
  CHECK(nearest_key("stall_timeout") == "viewer.stall_timeout");
  CHECK(nearest_key("nothing.like.it").empty());
  CHECK(nearest_key(std::string(100'000, 'x')).empty());
}

TEST_CASE("sizes have binary units", "[options]") {
  CHECK(parse_size("65536") == 65536u);
  CHECK(parse_size("64KiB") == 65536u);
  CHECK(parse_size("4MiB") == 4u << 20);
  CHECK(parse_size("1GiB") == 1u << 30);
  CHECK(parse_size("2TiB") == std::uint64_t{2} << 40);
  CHECK(parse_size("7B") == 7u);
  for (const char* bad :
       {"", "MiB", "4MB", "4 MiB", "-1", "4MiBx", "1.5MiB", "99999999999999GiB"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad));
  }
}

TEST_CASE("durations have units and may be put together", "[options]") {
  CHECK(parse_duration("350ms") == 350ms);
  CHECK(parse_duration("10s") == 10s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("1m30s") == 90s);
  CHECK(parse_duration("1.5s") == 1500ms);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0") == 0ms);
  for (const char* bad :
       {"", "10", "s", "10 s", "-1s", "1e400s", "inf", "0.1ms", "10sx", "999999999d"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

TEST_CASE("numbers and booleans are nothing but that", "[options]") {
  CHECK(parse_integer("-3") == -3);
  CHECK_FALSE(parse_integer("3x"));
  CHECK_FALSE(parse_integer(""));
  CHECK_FALSE(parse_integer("99999999999999999999"));
  CHECK(parse_number("0.5") == 0.5);
  CHECK_FALSE(parse_number("nan"));
  CHECK_FALSE(parse_number("inf"));
  for (const char* yes : {"on", "true", "yes", "1"}) CHECK(parse_boolean(yes) == true);
  for (const char* no : {"off", "false", "no", "0"}) CHECK(parse_boolean(no) == false);
  CHECK_FALSE(parse_boolean("maybe"));
}

TEST_CASE("ranges hold at their ends and not past them", "[options]") {
  CHECK(accepts("workers", "0"));
  CHECK(accepts("workers", "256"));
  CHECK_FALSE(accepts("workers", "257"));
  CHECK_FALSE(accepts("workers", "-1"));
  CHECK(accepts("edge.merge_window", "auto"));
  CHECK(accepts("edge.merge_window", "0"));
  CHECK(accepts("edge.merge_window", "5s"));
  CHECK_FALSE(accepts("edge.merge_window", "5001ms"));
  CHECK_FALSE(accepts("edge.merge_window", "0..5s"));
  CHECK_FALSE(accepts("edge.merge_max", "auto"));
  CHECK(accepts("rtmp.max_message", "16777215"));
  CHECK_FALSE(accepts("rtmp.max_message", "16MiB"));
  CHECK(accepts("http.max_head", "1KiB"));
  CHECK_FALSE(accepts("http.max_head", "1023"));
}

TEST_CASE("choices, listeners and networks are checked", "[options]") {
  CHECK(accepts("role", "proxy"));
  CHECK_FALSE(accepts("role", "origin"));
  CHECK_FALSE(accepts("role", ""));
  CHECK_FALSE(accepts("role", "proxy|edge"));
  for (const char* good : {"", "1935", ":1935", "127.0.0.1:0", "[::1]:1935", "host:65535"})
    CHECK(accepts("listen.rtmp", good));
  for (const char* bad : {"65536", "host", "1.2.3.4:x", "[::1"})
    CHECK_FALSE(accepts("listen.rtmp", bad));
  CHECK(accepts("system.allow", "10.0.0.0/8, loopback"));
  CHECK_FALSE(accepts("system.allow", "10.0.0.0/40"));
}

TEST_CASE("text has no control characters and a bounded length", "[options]") {
  CHECK(accepts("node.id", std::string(4096, 'x')));
  CHECK_FALSE(accepts("node.id", std::string(4097, 'x')));
  CHECK_FALSE(accepts("node.id", "a\nb"));
  CHECK(in_quotes("a\nb") == "'a\\x0ab'");
  CHECK(in_quotes(std::string(100, 'x')).size() == 80 + 5);
}

}  // namespace weir
