#include "proxy/registration.h"

#include <spdlog/fmt/fmt.h>

#include <catch2/catch.hpp>

namespace weir {
namespace {

const std::vector<Endpoint>& list(const Registration& registration, Protocol protocol) {
  return registration.endpoints[static_cast<std::size_t>(protocol)];
}

// A right body whose `field` is the JSON text `value`; empty text leaves the field out.
std::string body_with(const std::string& field, const std::string& value) {
  std::pair<std::string, std::string> fields[] = {{"ip", R"("10.0.0.5")"},
                                                  {"server", R"("vid-1")"},
                                                  {"service", R"("8dh3")"},
                                                  {"pid", R"("1204")"},
                                                  {"rtmp", R"(["1935"])"}};
  std::string body = "{";
  bool is_new = true;
  for (auto& [name, text] : fields) {
    if (name == field) {
      text = value;
      is_new = false;
    }
    if (!text.empty()) body += fmt::format("{}\"{}\":{}", body.size() > 1 ? "," : "", name, text);
  }
  if (is_new) body += fmt::format(",\"{}\":{}", field, value);
  return body + "}";
}

std::string error_of(std::string_view body, Errc code = Errc::Protocol) {
  const auto registration = parse_registration(body);
  if (registration) return "accepted";
  CHECK(registration.error().code == code);
  return registration.error().text;
}

}  // namespace

TEST_CASE("the heartbeat of SRS is understood whole", "[registration]") {
  const auto made = parse_registration(R"({
    "device_id": "k8s-1", "ip": "192.168.1.7", "server": "vid-1x", "service": "8dh3", "pid": "1204",
    "rtmp": ["1935", ":19350"], "http": ["tcp://192.168.1.8:8080"], "api": ["origin.example:1985"],
    "srt": ["udp://0.0.0.0:10080"], "rtc": ["udp://0.0.0.0:8000"],
    "zone": "east",
    "summaries": {"code": 0, "data": {"self": {"cpu_percent": 0.1},
                                      "system": {"cpu_percent": 0.25}}}})");
  REQUIRE(made);
  CHECK(made->server == "vid-1x");
  CHECK(made->service == "8dh3");
  CHECK(made->pid == "1204");
  CHECK(made->device_id == "k8s-1");
  CHECK(made->host == "192.168.1.7");
  CHECK(made->zone == "east");
  CHECK(made->load == 0.25);
  CHECK(list(*made, Protocol::Rtmp) ==
        std::vector<Endpoint>{{"192.168.1.7", 1935}, {"192.168.1.7", 19350}});
  CHECK(list(*made, Protocol::Http) == std::vector<Endpoint>{{"192.168.1.8", 8080}});
  CHECK(list(*made, Protocol::Api) == std::vector<Endpoint>{{"origin.example", 1985}});
  CHECK(list(*made, Protocol::Srt) == std::vector<Endpoint>{{"192.168.1.7", 10080}});
  CHECK(list(*made, Protocol::Webrtc) == std::vector<Endpoint>{{"192.168.1.7", 8000}});
  CHECK(list(*made, Protocol::Rtsp).empty());

  const Upstream upstream = made->upstream();
  CHECK(upstream.id == "vid-1x");
  CHECK(upstream.knowledge == Knowledge::Registered);
  CHECK(upstream.at(Protocol::Http) == list(*made, Protocol::Http));
}

TEST_CASE("a list may be one string, and a pid a number", "[registration]") {
  const auto one = parse_registration(body_with("http", R"("8080")"));
  REQUIRE(one);
  CHECK(list(*one, Protocol::Http) == std::vector<Endpoint>{{"10.0.0.5", 8080}});
  const auto number = parse_registration(body_with("pid", "1204"));
  REQUIRE(number);
  CHECK(number->pid == "1204");
}

TEST_CASE("ip may be a host name or IPv6, with brackets or without", "[registration]") {
  const auto host_of = [](const char* ip) {
    const auto made = parse_registration(body_with("ip", ip));
    return made ? made->host : made.error().text;
  };
  CHECK(host_of(R"("origin-1.example")") == "origin-1.example");
  CHECK(host_of(R"("fd00::5")") == "fd00::5");
  CHECK(host_of(R"("[fd00::5]")") == "fd00::5");
  for (const char* bad : {R"("0.0.0.0")", R"("::")", R"("1935")", R"("10.0.0.5:1935")", R"("a b")",
                          R"("tcp://10.0.0.5")", R"("tcp://[::1]")", R"("")"})
    CHECK(host_of(bad).starts_with("field ip: "));
}

TEST_CASE("what is missing or of the wrong type is named", "[registration]") {
  for (const char* field : {"ip", "server", "service", "pid"}) {
    CHECK(error_of(body_with(field, "")) == fmt::format("field {}: missing", field));
    CHECK(error_of(body_with(field, "null")) == fmt::format("field {}: missing", field));
    CHECK(error_of(body_with(field, R"("")")).starts_with(fmt::format("field {}: ", field)));
    for (const char* value : {"true", "1.5", "[]", "{}"})
      CHECK(error_of(body_with(field, value)) == fmt::format("field {}: must be a string", field));
  }
  CHECK(error_of(body_with("server", "7")) == "field server: must be a string");
  CHECK(error_of(body_with("device_id", "7")) == "field device_id: must be a string");
  CHECK(error_of(body_with("rtmp", "1935")) == "field rtmp: must be an array of strings");
  CHECK(error_of(body_with("rtc", "[8000]")) == "field rtc: every endpoint must be a string");
  CHECK(error_of(body_with("rtmp", "")).starts_with("field rtmp: no endpoint"));
  CHECK(error_of(body_with("rtmp", "[]")).starts_with("field rtmp: no endpoint"));
}

TEST_CASE("ports are 1 to 65535 and must be there", "[registration]") {
  for (const char* good : {R"(["1"])", R"(["65535"])"})
    CHECK(error_of(body_with("rtmp", good)) == "accepted");
  for (const char* bad : {R"(["0"])", R"(["65536"])", R"(["-1"])", R"(["x:"])", R"(["origin"])",
                          R"([""])", R"(["99999999999999999999"])"})
    CHECK(error_of(body_with("rtmp", bad)).starts_with("field rtmp: "));
}

TEST_CASE("a body that is not a JSON object is refused", "[registration]") {
  for (const char* bad : {"", "{", "[]", "null", "7", R"("text")", "{\"ip\":\"\xff\"}", "{} {}"})
    CHECK(error_of(bad).starts_with("body: "));
}

TEST_CASE("control bytes never get into logs or labels", "[registration]") {
  CHECK(error_of(body_with("server", R"("a\nb")")) == "field server: control bytes in a text");
  CHECK(error_of(body_with("service", R"("a\u0000b")")) ==
        "field service: control bytes in a text");
}

TEST_CASE("each bound of a registration holds at the limit and not past it", "[registration]") {
  SECTION("the length of a text") {
    const auto text = [](std::size_t size) { return '"' + std::string(size, 'a') + '"'; };
    CHECK(error_of(body_with("server", text(256))) == "accepted");
    CHECK(error_of(body_with("server", text(257)), Errc::Limit) ==
          "field server: longer than 256 bytes");
  }
  SECTION("the endpoints of a list") {
    const auto endpoints = [](std::size_t count) {
      std::string text = "[\"1935\"";
      for (std::size_t i = 1; i < count; ++i) text += ",\"1935\"";
      return text + "]";
    };
    CHECK(error_of(body_with("rtmp", endpoints(16))) == "accepted");
    CHECK(error_of(body_with("rtmp", endpoints(17)), Errc::Limit) ==
          "field rtmp: more than 16 endpoints");
  }
  SECTION("the size of the body") {
    std::string body = body_with("device_id", R"("a")");
    body.resize(kMaxRegistrationBody, ' ');
    CHECK(error_of(body) == "accepted");
    body += ' ';
    CHECK(error_of(body, Errc::Limit) == "body: more than 65536 bytes");
  }
  SECTION("the depth, counting the body itself") {
    const auto nested = [](std::size_t depth) {
      return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(error_of(body_with("more", nested(15))) == "accepted");
    CHECK(error_of(body_with("more", nested(16))).starts_with("body: "));
    CHECK(error_of(body_with("more", nested(30'000))).starts_with("body: "));
  }
}

TEST_CASE("a load that is none is no error and no load", "[registration]") {
  for (const char* summaries : {"1", "null", "[]", R"({"data":1})", R"({"data":{"system":[]}})",
                                R"({"data":{"system":{"cpu_percent":"0.5"}}})",
                                R"({"data":{"system":{"cpu_percent":true}}})",
                                R"({"data":{"system":{"cpu_percent":1.01}}})",
                                R"({"data":{"system":{"cpu_percent":-0.01}}})",
                                R"({"data":{"self":{"cpu_percent":0.5}}})"}) {
    const auto made = parse_registration(body_with("summaries", summaries));
    REQUIRE(made);
    CHECK_FALSE(made->load);
  }
  for (const char* share : {"0", "1", "0.5"}) {
    const auto made = parse_registration(body_with(
        "summaries", fmt::format(R"({{"data":{{"system":{{"cpu_percent":{}}}}}}})", share)));
    REQUIRE(made);
    CHECK(made->load == std::stod(share));
  }
}

}  // namespace weir
