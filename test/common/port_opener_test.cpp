#include "common/port_opener.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/config.h"

using namespace weir;

namespace {

const Endpoint kAny{"127.0.0.1", 0};

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a port that has not changed is the same sockets", "[port_opener]") {
  PortOpener first(2);
  const auto tcp = first.tcp("listen.rtmp", kAny);
  const auto udp = first.udp("listen.srt", kAny);
  const auto single = first.single("listen.system", kAny);
  const OpenPorts open = first.keep();
  CHECK(tcp.size() == 2);
  CHECK(udp.size() == 2);
  CHECK(single.size() == 1);
  CHECK(open.contains("listen.rtmp tcp 127.0.0.1:0"));

  PortOpener second(2, open);
  CHECK(second.tcp("listen.rtmp", kAny) == tcp);
  CHECK(second.udp("listen.srt", kAny) == udp);
  CHECK(second.tcp("listen.http", kAny) != tcp);
  CHECK(second.tcp("listen.rtsp", std::nullopt).empty());
  const OpenPorts now = second.keep();
  close_others(open, now);
  CHECK_FALSE(is_open(single[0]));
  CHECK(is_open(tcp[0]));
  close_others(now, {});
  CHECK_FALSE(is_open(tcp[0]));
}

TEST_CASE("what is not kept is closed, and what was known is not", "[port_opener]") {
  PortOpener first(1);
  const int known = first.tcp("listen.rtmp", kAny)[0];
  const OpenPorts open = first.keep();
  int opened = -1;
  {
    PortOpener second(1, open);
    second.tcp("listen.rtmp", kAny);
    opened = second.tcp("listen.http", kAny)[0];
    CHECK(is_open(opened));
  }
  CHECK_FALSE(is_open(opened));
  CHECK(is_open(known));
  close_others(open, {});
}

TEST_CASE("a port of ours may move from one address to all, and a stranger's may not",
          "[port_opener]") {
  PortOpener first(1);
  const int fd = first.tcp("listen.rtmp", kAny)[0];
  const OpenPorts open = first.keep();
  const Endpoint everywhere{"0.0.0.0", Address::of_socket(fd).port()};

  PortOpener stranger(1);
  CHECK_THROWS_AS(stranger.tcp("listen.rtmp", everywhere), ConfigError);
  PortOpener ours(1, open);
  CHECK(ours.tcp("listen.rtmp", everywhere).size() == 1);
  CHECK(ours.udp("listen.srt", everywhere).size() == 1);
  close_others(open, {});
}

TEST_CASE("sockets of another number of loops are no use", "[port_opener]") {
  PortOpener first(1);
  const auto one = first.tcp("listen.rtmp", kAny);
  const OpenPorts open = first.keep();
  PortOpener second(2, open);
  CHECK(second.tcp("listen.rtmp", kAny).size() == 2);
  close_others(open, {});
}
