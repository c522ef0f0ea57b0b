#include "common/listening.h"

#include <unistd.h>

#include <set>
#include <catch2/catch.hpp>

#include "common/config.h"
#include "test/support/loopback.h"

using namespace weir;
using namespace weir::test;

namespace {

// Closes what open_tcp() gave.
struct Open {
  explicit Open(std::vector<int> all) : descriptors(std::move(all)) {}
  ~Open() {
    for (const int fd : descriptors) ::close(fd);
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  std::uint16_t port() const { return Address::of_socket(descriptors.at(0)).port(); }
  std::vector<int> descriptors;
};

bool connects(const std::string& host, std::uint16_t port) {
  const auto to = *Address::parse(host, port);
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, to.raw(), to.length()) == 0;
  ::close(fd);
  return connected;
}

std::string complaint(const Endpoint& endpoint) {
  try {
    const Open opened(open_tcp("listen.rtmp", endpoint, 1));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every loop gets a descriptor of its own for one port", "[listening]") {
  const Open opened(open_tcp("listen.rtmp", Endpoint{"127.0.0.1", 0}, 4));
  REQUIRE(opened.descriptors.size() == 4);
  CHECK(std::set<int>(opened.descriptors.begin(), opened.descriptors.end()).size() == 4);
  CHECK(opened.port() != 0);
  for (const int fd : opened.descriptors) CHECK(Address::of_socket(fd).port() == opened.port());
  for (int i = 0; i < 8; ++i) CHECK(connects("127.0.0.1", opened.port()));
}

TEST_CASE("an option that is off opens nothing", "[listening]") {
  CHECK(open_tcp("listen.rtsp", std::nullopt, 4).empty());
}

TEST_CASE("an empty host is every address of this machine", "[listening]") {
  const Open opened(open_tcp("listen.rtmp", Endpoint{"", 0}, 2));
  CHECK(connects("127.0.0.1", opened.port()));
  CHECK(connects("127.0.0.2", opened.port()));
}

TEST_CASE("a host may be a name", "[listening]") {
  const Open opened(open_tcp("listen.rtmp", Endpoint{"localhost", 0}, 1));
  CHECK(connects(Address::of_socket(opened.descriptors[0]).host(), opened.port()));
}

TEST_CASE("a port that is taken is told in one line, with its option and address", "[listening]") {
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto at = *Address::parse("127.0.0.1", 0);
  REQUIRE(::bind(taken, at.raw(), at.length()) == 0);
  REQUIRE(::listen(taken, 1) == 0);
  const auto port = Address::of_socket(taken).port();
  const auto text = complaint({"127.0.0.1", port});
  CHECK_THAT(text, Catch::StartsWith("listen.rtmp: "));
  CHECK_THAT(text, Catch::Contains("127.0.0.1:" + std::to_string(port)));
  CHECK(text.find('\n') == std::string::npos);
  ::close(taken);
}

TEST_CASE("an address that is not ours, and a name that is none, are told with their option",
          "[listening]") {
  CHECK_THAT(complaint({"192.0.2.1", 0}),
             Catch::StartsWith("listen.rtmp: ") && Catch::Contains("192.0.2.1"));
  const std::string name(300, 'a');
  CHECK_THAT(complaint({name, 0}), Catch::StartsWith("listen.rtmp: " + name));
}

TEST_CASE("the endpoint as it turned out has the port that the kernel chose", "[listening]") {
  const Open opened(open_tcp("listen.rtmp", Endpoint{"127.0.0.1", 0}, 2));
  CHECK(endpoint_of(opened.descriptors, {"127.0.0.1", 0}) == Endpoint{"127.0.0.1", opened.port()});
  CHECK(endpoint_of({}, {"a.example", 5}) == Endpoint{"a.example", 5});
}

TEST_CASE("a UDP port is shared by the loops too, and refused when taken", "[listening]") {
  const Open opened(open_udp("listen.srt", Endpoint{"127.0.0.1", 0}, 3));
  REQUIRE(opened.descriptors.size() == 3);
  for (const int fd : opened.descriptors) CHECK(Address::of_socket(fd).port() == opened.port());
  const Endpoint same{"127.0.0.1", opened.port()};
  CHECK_THROWS_AS(open_udp("listen.srt", same, 1), ConfigError);
}
