#include "common/log.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <cmath>
#include <mutex>
#include <thread>
#include <vector>
#include <catch2/catch.hpp>

namespace weir::log {
namespace {

using namespace std::chrono_literals;

// Takes the log for one test.
struct Lines {
  explicit Lines(Level level = Level::Debug, Format format = Format::Text) {
    init(level, format, [this](std::string_view line) { all.emplace_back(line); });
  }
  ~Lines() { init(Level::Info, Format::Text); }

  // The only line after its time stamp.
  std::string only() {
    REQUIRE(all.size() == 1);
    return all[0].substr(25);
  }
  Poco::JSON::Object::Ptr only_json() {
    REQUIRE(all.size() == 1);
    return Poco::JSON::Parser().parse(all[0]).extract<Poco::JSON::Object::Ptr>();
  }

  std::vector<std::string> all;
};

}  // namespace

TEST_CASE("a line for people is time, level, message and fields", "[log]") {
  Lines lines;
  info("viewer joined",
       {{"conn", std::uint64_t{7}}, {"stream", "live/a"}, {"ms", -1}, {"ok", true}, {"load", 0.5}});
  CHECK(lines.only() == "I viewer joined  conn=7 stream=live/a ms=-1 ok=true load=0.5");
  CHECK(lines.all[0][10] == 'T');
  CHECK(lines.all[0][23] == 'Z');
}

TEST_CASE("a message without fields ends with it", "[log]") {
  Lines lines;
  error("out of file descriptors");
  CHECK(lines.only() == "E out of file descriptors");
}

TEST_CASE("values are quoted when they need it", "[log]") {
  Lines lines;
  info("m", {{"a", ""}, {"b", "x y"}, {"c", "x=y"}, {"d", "say \"hi\""}, {"e", "caf\xc3\xa9"}});
  CHECK(lines.only() == "I m  a=\"\" b=\"x y\" c=\"x=y\" d=\"say \\\"hi\\\"\" e=caf\xc3\xa9");
}

TEST_CASE("no peer can break a line or steer a terminal", "[log]") {
  Lines lines;
  info("m", {{"a", "x\r\nE fake\t"},
             {"b", "\x1b[2J"},
             {"c", std::string_view("\0", 1)},
             {"d", "\xff\xc0\x80"},
             {"e",
              "\xc2\x9b"
              "2J"},
             {"f", "\xe2\x80\xae"}});
  CHECK(lines.only() ==
        "I m  a=\"x\\r\\nE fake\\t\" b=\"\\u001b[2J\" c=\"\\u0000\" d=\"\\xff\\xc0\\x80\" "
        "e=\"\\u009b2J\" f=\"\\u202e\"");
}

TEST_CASE("a message is escaped like a value", "[log]") {
  Lines lines;
  warn("a\nb");
  CHECK(lines.only() == "W a\\nb");
}

TEST_CASE("a JSON line parses whatever is in it", "[log]") {
  Lines lines(Level::Debug, Format::Json);
  warn("broken \"pipe\"\n", {{"text", "a\r\n\x01\\ \xc3\xa9 \xff"},
                             {"n", -5},
                             {"big", std::uint64_t{1} << 63},
                             {"half", 0.5},
                             {"nan", std::nan("")},
                             {"ok", false},
                             {"k\"ey", "v"}});
  const auto object = lines.only_json();
  CHECK(object->getValue<std::string>("level") == "warn");
  CHECK(object->getValue<std::string>("message") == "broken \"pipe\"\n");
  CHECK(object->getValue<std::string>("text") == "a\r\n\x01\\ \xc3\xa9 \xef\xbf\xbd");
  CHECK(object->getValue<int>("n") == -5);
  CHECK(object->getValue<std::uint64_t>("big") == std::uint64_t{1} << 63);
  CHECK(object->getValue<double>("half") == 0.5);
  CHECK(object->isNull("nan"));
  CHECK(object->getValue<bool>("ok") == false);
  CHECK(object->getValue<std::string>("k\"ey") == "v");
  CHECK(object->getValue<std::string>("time").size() == 24);
}

TEST_CASE("long values are cut", "[log]") {
  Lines lines;
  info("m", {{"a", std::string(2048, 'x')}});
  info("m", {{"a", std::string(2049, 'x')}});
  REQUIRE(lines.all.size() == 2);
  CHECK(lines.all[0].ends_with("=" + std::string(2048, 'x')));
  CHECK(lines.all[1].ends_with("=\"" + std::string(2048, 'x') + "...\""));
}

TEST_CASE("levels below the chosen one are silent", "[log]") {
  Lines lines(Level::Warn);
  debug("no");
  info("no");
  warn("yes");
  error("yes");
  CHECK(lines.all.size() == 2);
  CHECK_FALSE(enabled(Level::Info));
  CHECK(enabled(Level::Error));
  CHECK_FALSE(enabled(Level::Off));
  init(Level::Off, Format::Text, [&lines](std::string_view line) { lines.all.emplace_back(line); });
  error("no");
  CHECK(lines.all.size() == 2);
}

TEST_CASE("names of options become levels and formats", "[log]") {
  CHECK(level_named("debug") == Level::Debug);
  CHECK(level_named("off") == Level::Off);
  CHECK(format_named("json") == Format::Json);
}

TEST_CASE("repeated trouble is one line a period and a count", "[log]") {
  Limited limited(10s);
  const Limited::Clock::time_point start{1h};
  CHECK(limited.admit(start) == 0u);
  CHECK(limited.admit(start) == std::nullopt);
  CHECK(limited.admit(start + 9999ms) == std::nullopt);
  CHECK(limited.admit(start + 10s) == 2u);
  CHECK(limited.admit(start + 20s) == 0u);
}

TEST_CASE("the count of suppressed lines is a field", "[log]") {
  Lines lines;
  Limited limited(0ms);
  limited.write(Level::Warn, "accept failed", {{"error", "EMFILE"}});
  CHECK(lines.only() == "W accept failed  error=EMFILE");
}

TEST_CASE("threads do not mix their lines", "[log]") {
  Lines lines;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) info("tick", {{"text", std::string(50, 'x')}});
    });
  threads.clear();
  REQUIRE(lines.all.size() == 400);
  for (const auto& line : lines.all)
    CHECK(line.substr(25) == "I tick  text=" + std::string(50, 'x'));
}

TEST_CASE("secrets in URLs are masked", "[log]") {
  CHECK(redact_args("token=abc") == "token=***");
  CHECK(redact_args("live/a?token=x&vhost=b") == "live/a?token=***&vhost=b");
  CHECK(redact_args("rtmp://h/app?vhost=v/stream?sign=1;e=2") ==
        "rtmp://h/app?vhost=v/stream?sign=***;e=***");
  CHECK(redact_args("http://user:pw@h/a.flv") == "http://user:***@h/a.flv");
  CHECK(redact_args("http://h/a.flv?bare") == "http://h/a.flv?***");
  CHECK(redact_args("live/a") == "live/a");
  CHECK(redact_args("?") == "?");
  CHECK(redact_args("").empty());
}

}  // namespace weir::log
