#include "common/handover_channel.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

TEST_CASE("messages arrive whole, in order, with their descriptors", "[handover]") {
  auto ends = HandoverChannel::make();
  REQUIRE(ends);
  auto& [here, there] = *ends;
  const std::string bytes("a b\0c\n", 6);
  REQUIRE(here.send("secret", bytes));
  REQUIRE(here.send("port", "listen.rtmp tcp :1935", {0, 1, 2}));
  REQUIRE(here.send("begin"));

  CHECK(there.receive(1s)->text == bytes);
  const auto port = there.receive(1s);
  REQUIRE(port);
  CHECK(port->verb == "port");
  CHECK(port->text == "listen.rtmp tcp :1935");
  REQUIRE(port->descriptors.size() == 3);
  for (const int fd : port->descriptors) {
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    ::close(fd);
  }
  const auto begin = there.receive(1s);
  CHECK(begin->verb == "begin");
  CHECK(begin->text.empty());
}

TEST_CASE("silence is a timeout, an end is told, and what is too large is not sent", "[handover]") {
  auto ends = HandoverChannel::make();
  auto& [here, there] = *ends;
  CHECK(there.receive(1ms).error().code == Errc::Timeout);
  CHECK(here.send("state", std::string(HandoverChannel::kMaxMessage - 6, 'x')));
  CHECK(there.receive(1s)->text.size() == HandoverChannel::kMaxMessage - 6);
  CHECK(here.send("state", std::string(HandoverChannel::kMaxMessage - 5, 'x')).error().code ==
        Errc::Limit);
  std::vector<int> many(HandoverChannel::kMaxDescriptors, 0);
  REQUIRE(here.send("port", "", many));
  const auto most = there.receive(1s);
  REQUIRE(most);
  CHECK(most->descriptors.size() == many.size());
  for (const int fd : most->descriptors) ::close(fd);
  many.push_back(0);
  CHECK(here.send("port", "", many).error().code == Errc::Limit);
  here.shut();
  CHECK(there.receive(1s).error().code == Errc::Closed);
  CHECK(there.send("ready").error().code == Errc::Closed);
}
