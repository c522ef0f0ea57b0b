#include "common/command_line.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace weir {
namespace {

using Verb = CommandLine::Verb;

std::string mistake(const std::vector<std::string>& arguments) {
  try {
    parse_command_line(arguments);
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  return "no mistake";
}

}  // namespace

TEST_CASE("nothing on the command line means run with the defaults", "[command_line]") {
  const auto line = parse_command_line({});
  CHECK(line.verb == Verb::Run);
  CHECK_FALSE(line.role);
  CHECK_FALSE(line.config_file);
  CHECK(line.overrides.empty());
}

TEST_CASE("options carry their values with = or after a space", "[command_line]") {
  const auto line = parse_command_line({"--role=proxy", "--config", "/etc/weir.conf", "--set",
                                        "a=b=c", "--set=listen.rtmp=127.0.0.1:1935", "-s", "x=y"});
  CHECK(line.role == "proxy");
  CHECK(line.config_file == "/etc/weir.conf");
  CHECK(line.overrides == std::vector<std::string>{"a=b=c", "listen.rtmp=127.0.0.1:1935", "x=y"});
}

TEST_CASE("answers are verbs, and help wins", "[command_line]") {
  CHECK(parse_command_line({"--check-config"}).verb == Verb::CheckConfig);
  CHECK(parse_command_line({"--print-config", "--role=edge"}).verb == Verb::PrintConfig);
  CHECK(parse_command_line({"--print-default-config"}).verb == Verb::PrintDefaultConfig);
  CHECK(parse_command_line({"--version"}).verb == Verb::Version);
  CHECK(parse_command_line({"--help", "--version"}).verb == Verb::Help);
  CHECK(parse_command_line({"-h"}).verb == Verb::Help);
  CHECK(parse_command_line({"--help=listen"}).help_topic == "listen");
}

TEST_CASE("demo is a word of its own with its own options", "[command_line]") {
  const auto line =
      parse_command_line({"demo", "--seconds=20", "--no-source", "--set", "log.level=debug"});
  CHECK(line.verb == Verb::Demo);
  CHECK(line.demo_seconds == 20);
  CHECK_FALSE(line.demo_source);
  CHECK(parse_command_line({"demo", "--help"}).verb == Verb::Help);
  CHECK(parse_command_line({"demo", "--seconds=86400"}).demo_seconds == 86400);
  CHECK(mistake({"demo", "--seconds=86401"}) == "--seconds: '86401' is not 1..86400");
  CHECK(mistake({"demo", "--seconds=0"}) == "--seconds: '0' is not 1..86400");
  CHECK(mistake({"--seconds=3"}) == "--seconds and --no-source go with weir demo");
  CHECK(mistake({"demo", "--role=edge"}) == "--role: weir demo starts both roles");
}

TEST_CASE("top has a node to look at, a token and an order", "[command_line]") {
  const auto line = parse_command_line(
      {"top", "http://10.0.0.1:12025", "--once", "--sort=rate", "--token", "secret"});
  CHECK(line.verb == Verb::Top);
  CHECK(line.top_url == "http://10.0.0.1:12025");
  CHECK(line.top_once);
  CHECK(line.top_sort == "rate");
  CHECK(line.top_token == "secret");
  CHECK_FALSE(parse_command_line({"top"}).top_url);
  CHECK(parse_command_line({"top", "--config=a"}).config_file == "a");
  CHECK(mistake({"top", "--sort=size"}) == "--sort: 'size' is not viewers, rate, name or age");
  CHECK(mistake({"top", "a", "b"}) == "'b': unexpected, see weir --help");
  CHECK(mistake({"--once"}) == "--once, --sort and --token go with weir top");
  CHECK(mistake({"check", "--token=x"}) == "--once, --sort and --token go with weir top");
}

TEST_CASE("check takes the configuration that running would", "[command_line]") {
  const auto line = parse_command_line({"check", "--role=proxy", "--config=a", "--set", "b=c"});
  CHECK(line.verb == Verb::Check);
  CHECK(line.role == "proxy");
  CHECK(line.overrides.size() == 1);
  CHECK(mistake({"check", "x"}) == "'x': unexpected, see weir --help");
}

TEST_CASE("mistakes on the command line are one line that names the word", "[command_line]") {
  CHECK(mistake({"--bogus"}) == "'--bogus': unknown, see weir --help");
  CHECK(mistake({"-x"}) == "'-x': unknown, see weir --help");
  CHECK(mistake({"serve"}) == "'serve': unexpected, see weir --help");
  CHECK(mistake({"demo", "demo"}) == "'demo': unexpected, see weir --help");
  CHECK(mistake({"--version=3"}) == "'--version=3': takes no value");
  CHECK(mistake({"--config"}) == "'--config': needs a value");
  CHECK(mistake({"--set"}) == "'--set': needs a value");
  CHECK(mistake({"--config=a", "--config=b"}) == "--config: given twice");
  CHECK(mistake({"--print"}) == "'--print': could be several options, see weir --help");
  CHECK(mistake({"a\nb"}) == "'a\\x0ab': unexpected, see weir --help");
}

TEST_CASE("help fits in a terminal and every topic exists", "[command_line]") {
  const auto text = help_text("");
  CHECK(std::ranges::count(text, '\n') <= 24);
  CHECK(help_text("listen").find("WEIR_LISTEN_RTMP (PROXY_RTMP_SERVER)") != std::string::npos);
  CHECK(help_text("upstream").find("WEIR_UPSTREAM_NAME_HOST") != std::string::npos);
  CHECK(help_text("general").find("workers") != std::string::npos);
  CHECK(help_text("all").size() > help_text("edge").size());
  CHECK_THROWS_AS(help_text("nothing"), ConfigError);
  CHECK(version_text().starts_with("weir "));
}

}  // namespace weir
