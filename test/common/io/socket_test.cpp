#include "common/io/socket.h"

#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>
#include <catch2/catch.hpp>

#include "common/io/listener.h"
#include "common/io/resolver.h"
#include "test/support/loop_fixture.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

Task<void> write_text(Socket& socket, std::string text) {
  auto sent = co_await socket.write(as_bytes(text), socket.loop().in(5s));
  CHECK(sent);
  socket.shut_down_writes();
}

Task<Result<std::string>> read_all(Socket& socket) {
  std::string text;
  while (true) {
    auto got = co_await socket.read(socket.loop().scratch(), socket.loop().in(5s));
    if (!got && got.error().code == Errc::Closed) co_return text;
    if (!got) co_return std::unexpected(got.error());
    text += as_text(socket.loop().scratch().first(*got));
  }
}

}  // namespace

TEST_CASE("a socket carries more than the kernel holds, both ends taking turns", "[socket]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    const std::string text(5'000'000, 'x');
    on.spawn(write_text(*ends[0], text));
    auto got = co_await read_all(*ends[1]);
    REQUIRE(got);
    CHECK(*got == text);
  };
  test::run(loop, body(loop));
}

TEST_CASE("a read ends at its deadline, and when its socket is closed", "[socket]") {
  Loop loop;
  auto close_it = [](Socket& socket) -> Task<void> {
    socket.close();
    co_return;
  };
  auto close_later = [](Loop& on, Socket& socket) -> Task<void> {
    auto slept = co_await weir::sleep(on, 5ms);
    REQUIRE(slept);
    socket.close();
  };
  auto body = [&](Loop& on) -> Task<void> {
    auto ends = test::socket_pair(on);
    auto late = co_await ends[0]->read(on.scratch(), on.in(5ms));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Errc::Timeout);
    on.spawn(close_later(on, *ends[0]));
    auto closed = co_await ends[0]->read(on.scratch(), on.in(5s));
    REQUIRE_FALSE(closed);
    CHECK(closed.error().code == Errc::Cancelled);
    co_await close_it(*ends[1]);
  };
  test::run(loop, body(loop));
}

TEST_CASE("nobody listening is told as refused, by number and by name", "[socket]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    auto at = Address::parse("127.0.0.1", 0);
    auto fd = Listener::open(*at);
    REQUIRE(fd);
    const auto port = Address::of_socket(*fd).port();
    ::close(*fd);
    auto by_number = co_await resolver.connect("127.0.0.1", port, on.in(5s));
    REQUIRE_FALSE(by_number);
    CHECK(by_number.error().code == Errc::Refused);
    auto by_name = co_await resolver.connect("localhost", port, on.in(5s));
    REQUIRE_FALSE(by_name);
    CHECK(by_name.error().code == Errc::Refused);
    auto unknown = co_await resolver.connect("no-such-host.invalid", port, on.in(4s));
    CHECK_FALSE(unknown);
  };
  test::run(loop, body(loop));
}

TEST_CASE("accepting survives running out of descriptors and goes on at once when there are some",
          "[socket]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Resolver resolver(on);
    std::vector<std::unique_ptr<Socket>> accepted;
    auto fd = Listener::open(*Address::parse("127.0.0.1", 0));
    REQUIRE(fd);
    Listener listener(
        on, *fd, [&](std::unique_ptr<Socket> socket) { accepted.push_back(std::move(socket)); });
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    auto client = co_await resolver.connect("127.0.0.1", listener.port(), on.in(5s));
    REQUIRE(client);
    auto other = co_await resolver.connect("127.0.0.1", listener.port(), on.in(5s));
    REQUIRE(other);
    while (accepted.size() < 2) {
      auto slept = co_await weir::sleep(on, 1ms);
      REQUIRE(slept);
    }
    // From here on the highest descriptor in use is the limit: accept() fails, though clients connect.
    const int probe = ::dup(0);
    ::close(probe);
    const int client_fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rlimit tight{.rlim_cur = static_cast<rlim_t>(client_fd) + 1, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    auto to = *Address::parse("127.0.0.1", listener.port());
    REQUIRE(::connect(client_fd, to.raw(), to.length()) == 0);
    while (listener.pauses() == 0) {
      auto slept = co_await weir::sleep(on, 1ms);
      REQUIRE(slept);
    }
    CHECK(accepted.size() == 2);
    setrlimit(RLIMIT_NOFILE, &before);
    while (accepted.size() < 3) {
      auto slept = co_await weir::sleep(on, 1ms);
      REQUIRE(slept);
    }
    ::close(client_fd);
  };
  test::run(loop, body(loop));
}
