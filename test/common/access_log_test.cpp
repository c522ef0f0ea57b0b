#include "common/access_log.h"

#include <Poco/JSON/Parser.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <catch2/catch.hpp>

#include "common/config.h"
#include "common/session_recorder.h"
#include "test/support/temporary_folder.h"

namespace weir {
namespace {

using namespace std::chrono_literals;
using Poco::JSON::Object;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

Object::Ptr parsed(const std::string& line) {
  INFO(line);
  return Poco::JSON::Parser().parse(line).extract<Object::Ptr>();
}

SessionFacts viewer() {
  return {.kind = SessionKind::Play,
          .protocol = "rtmp",
          .stream = "v/a/\"s\"",
          .peer = *Address::parse("192.0.2.7", 4711),
          .upstream = "origin",
          .agent = "evil\n\x1b[31m",
          .page_url = "http://x/page?token=hunter2",
          .request_id = "f00d"};
}

}  // namespace

TEST_CASE("lines are written in their order, also those that wait at the end", "[access_log]") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "access.log";
  Metrics metrics("1");
  {
    AccessLog log({.path = path}, metrics);
    for (int i = 0; i < 1000; ++i) log.write(std::to_string(i));
  }
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(lines[static_cast<std::size_t>(i)] == std::to_string(i));
  CHECK(metrics.text().find("weir_access_log_lines_total 1000") != std::string::npos);
}

TEST_CASE("a file that was moved away gets what came before, a new one the rest", "[access_log]") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "access.log";
  Metrics metrics("1");
  {
    AccessLog log({.path = path}, metrics);
    log.write("before");
    std::filesystem::rename(path, path + ".1");
    log.reopen();
    while (!std::filesystem::exists(path)) std::this_thread::yield();
    log.write("after");
  }
  CHECK(lines_of(path + ".1") == std::vector<std::string>{"before"});
  CHECK(lines_of(path) == std::vector<std::string>{"after"});
}

TEST_CASE("what is too much to wait, or is not taken by the disk, is dropped and counted",
          "[access_log]") {
  Metrics metrics("1");
  {
    AccessLog log({.path = "/dev/full", .requests = true, .most_waiting = 10}, metrics);
    log.write("123456789");   // with its end, at the limit
    log.write("1234567890");  // past it
  }
  CHECK(metrics.text().find("weir_access_log_dropped_total 2") != std::string::npos);
}

TEST_CASE("a file that cannot be opened is the operator's mistake", "[access_log]") {
  Metrics metrics("1");
  CHECK_THROWS_AS(AccessLog({.path = "/nonexistent/access.log"}, metrics), ConfigError);
}

TEST_CASE("a session's line is JSON in which nothing is secret", "[access_log]") {
  const SessionFacts facts = viewer();
  const auto time = std::chrono::system_clock::time_point{1'700'000'000'007ms};
  const std::string line = access_line(SessionEnd{.facts = facts,
                                                  .id = "0k3v9q2x",
                                                  .reason = "closed",
                                                  .lasted = 12500ms,
                                                  .traffic = {.received = 1, .sent = 2}},
                                       time);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find("hunter2") == std::string::npos);
  const auto object = parsed(line);
  CHECK(object->getValue<std::string>("time") == "2023-11-14T22:13:20.007Z");
  CHECK(object->getValue<std::string>("action") == "play");
  CHECK(object->getValue<std::string>("session") == "0k3v9q2x");
  CHECK(object->getValue<std::string>("request") == "f00d");
  CHECK(object->getValue<std::string>("stream") == "v/a/\"s\"");
  CHECK(object->getValue<std::string>("peer") == "192.0.2.7:4711");
  CHECK(object->getValue<std::string>("upstream") == "origin");
  CHECK(object->getValue<double>("seconds") == 12.5);
  CHECK(object->getValue<int>("received") == 1);
  CHECK(object->getValue<int>("sent") == 2);
  CHECK(object->getValue<std::string>("agent") == "evil\n\x1b[31m");
  CHECK(object->getValue<std::string>("page") == "http://x/page?token=***");
  CHECK(object->getValue<std::string>("reason") == "closed");
}

TEST_CASE("requests have lines when they are wanted, live pipes always", "[access_log]") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "access.log";
  Metrics metrics("1");
  {
    AccessLog log({.path = path, .requests = false}, metrics);
    SessionRecorder recorder(metrics, &log);
    SessionFacts facts = viewer();
    const auto request = [&facts, &recorder](std::string_view protocol, int status) {
      facts.protocol = protocol;
      recorder.request_ended({.facts = facts,
                              .id = "1",
                              .reason = "complete",
                              .method = "GET",
                              .target = "/live/a.flv?token=hunter2",
                              .agent = "",
                              .page_url = "",
                              .status = status,
                              .lasted = 30ms,
                              .traffic = {}});
    };
    request("hls", 200);
    request("flv", 200);
  }
  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 1);
  const auto object = parsed(lines[0]);
  CHECK(object->getValue<std::string>("action") == "play");
  CHECK(object->getValue<std::string>("method") == "GET");
  CHECK(object->getValue<std::string>("target") == "/live/a.flv?token=***");
  CHECK(object->getValue<int>("status") == 200);
  const std::string text = metrics.text();
  CHECK(text.find("weir_http_request_duration_seconds_count{code=\"2xx\"} 1") != std::string::npos);
}

TEST_CASE("sessions, joins and failures are counted by protocol", "[access_log]") {
  Metrics metrics("1");
  SessionRecorder one(metrics, nullptr);
  SessionRecorder other(metrics, nullptr);
  SessionFacts facts = viewer();
  for (SessionRecorder* each : {&one, &other}) {
    each->began(facts);
    each->joined(facts, 20ms);
  }
  const auto ended = [&](std::string_view reason) {
    one.session_ended({.facts = facts, .id = "", .reason = reason, .lasted = 1s, .traffic = {}});
  };
  for (const std::string_view reason : {"closed", "cancelled", "reset"}) ended(reason);
  CHECK(metrics.text().find("weir_session_failures_total") == std::string::npos);
  ended("timeout");
  facts.kind = SessionKind::Publish;
  one.began(facts);
  one.joined(facts, 20ms);  // nobody waits for a publisher
  const std::string text = metrics.text();
  CHECK(text.find("weir_sessions_total{action=\"play\",protocol=\"rtmp\"} 2") != std::string::npos);
  CHECK(text.find("weir_sessions_total{action=\"publish\",protocol=\"rtmp\"} 1") !=
        std::string::npos);
  CHECK(text.find("weir_join_seconds_count{protocol=\"rtmp\"} 2") != std::string::npos);
  CHECK(text.find("weir_session_failures_total{protocol=\"rtmp\"} 1") != std::string::npos);
}

}  // namespace weir
