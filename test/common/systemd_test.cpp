#include "common/systemd.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <catch2/catch.hpp>

#include "test/support/quiet_log.h"
#include "test/support/temporary_folder.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// The socket of a service manager; an address that begins with @ is an abstract one.
class Listener {
 public:
  explicit Listener(const std::string& address) : fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address[0] == '@') name.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&name), size) == 0);
  }
  ~Listener() { ::close(fd_); }

  // What came, or "nothing".
  std::string heard() const {
    char text[1024];
    const auto size = ::recv(fd_, text, sizeof text, MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(size));
  }

 private:
  int fd_;
};

const std::string kAbstract = "@weir-systemd-test-" + std::to_string(::getpid());

bool yes(std::chrono::milliseconds) { return true; }

}  // namespace

TEST_CASE("a service manager hears of each step, at a path as at an abstract name", "[systemd]") {
  TemporaryFolder folder;
  for (const std::string& address : {folder.path() + "/notify", kAbstract}) {
    const Listener listener(address);
    const Variables environment{{"NOTIFY_SOCKET", address}};
    Systemd systemd(environment);
    CHECK_FALSE(systemd.interval());
    systemd.ready("role edge");
    CHECK(listener.heard() == "READY=1\nSTATUS=role edge");
    systemd.reloading();
    CHECK_THAT(listener.heard(), Catch::Matches("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
    systemd.stopping(35s);
    CHECK(listener.heard() == "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=35000000");
    systemd.keep_alive(yes, Systemd::Clock::now());
    CHECK(listener.heard() == "nothing");
  }
}

TEST_CASE("without a service manager, or with an address that is none, nothing happens",
          "[systemd]") {
  const std::vector<Variables> environments{{},
                                            {{"NOTIFY_SOCKET", ""}},
                                            {{"NOTIFY_SOCKET", "@"}},
                                            {{"NOTIFY_SOCKET", "vsock:2:1"}},
                                            {{"NOTIFY_SOCKET", "/" + std::string(107, 'x')}}};
  for (const auto& environment : environments) {
    Variables with_watchdog = environment;
    with_watchdog.emplace_back("WATCHDOG_USEC", "3000000");
    Systemd systemd(with_watchdog);
    CHECK_FALSE(systemd.interval());
    systemd.ready("role edge");
    systemd.stopping(1s);
  }
}

TEST_CASE("the longest path that the kernel takes is taken", "[systemd]") {
  const std::string address = "@" + std::string(106, 'x');
  const Listener listener(address);
  const Variables environment{{"NOTIFY_SOCKET", address}};
  Systemd(environment).ready("x");
  CHECK(listener.heard() == "READY=1\nSTATUS=x");
}

TEST_CASE("a socket that is gone costs a line in the log", "[systemd]") {
  const QuietLog quiet;
  const Variables environment{{"NOTIFY_SOCKET", "/nowhere/notify"}};
  Systemd(environment).ready("x");
}

TEST_CASE("the watchdog is fed at a third of its time, and only while all is well", "[systemd]") {
  const Listener listener(kAbstract);
  const QuietLog quiet;
  Systemd systemd({{"NOTIFY_SOCKET", kAbstract},
                   {"WATCHDOG_USEC", "3000000"},
                   {"WATCHDOG_PID", std::to_string(::getpid())}});
  REQUIRE(systemd.interval() == 1000ms);
  const auto start = Systemd::Clock::now();
  systemd.keep_alive(yes, start);
  CHECK(listener.heard() == "WATCHDOG=1");
  systemd.keep_alive(yes, start + 999ms);
  CHECK(listener.heard() == "nothing");
  systemd.keep_alive([](std::chrono::milliseconds patience) { return patience != 1000ms; },
                     start + 1000ms);
  CHECK(listener.heard() == "nothing");
  systemd.keep_alive(yes, start + 1999ms);
  CHECK(listener.heard() == "nothing");
  systemd.keep_alive(yes, start + 2000ms);
  CHECK(listener.heard() == "WATCHDOG=1");
}

TEST_CASE("who has told that another process is the service says nothing more", "[systemd]") {
  const Listener listener(kAbstract);
  Systemd systemd({{"NOTIFY_SOCKET", kAbstract}, {"WATCHDOG_USEC", "3000000"}});
  systemd.main_is(7);
  CHECK(listener.heard() == "MAINPID=7");
  CHECK_FALSE(systemd.interval());
  systemd.keep_alive(yes, Systemd::Clock::now());
  systemd.ready("x");
  CHECK(listener.heard() == "nothing");
}

TEST_CASE("a watchdog for another process, or without a time, is none", "[systemd]") {
  const std::string other = std::to_string(::getpid() + 1);
  for (const auto& [time, process] : {std::pair<std::string, std::string>{"3000000", other},
                                      {"3000000", "x"},
                                      {"0", ""},
                                      {"-5", ""},
                                      {"3s", ""},
                                      {"99999999999999999999", ""}}) {
    const Systemd systemd(
        {{"NOTIFY_SOCKET", kAbstract}, {"WATCHDOG_USEC", time}, {"WATCHDOG_PID", process}});
    CHECK_FALSE(systemd.interval());
  }
}
