// test/support/redis_server.h
// A real redis-server of the test's own: on a free loopback port, in a temporary directory, without a disk.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>
#include <sstream>

#include "common/redis/locator.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

namespace weir::test {

class RedisServer {
 public:
  using Arguments = std::vector<std::string>;

  // `port_option` is "--tls-port" for a server that speaks nothing but TLS.
  explicit RedisServer(Arguments more = {}, std::string port_option = "--port")
      : more_(std::move(more)), port_option_(std::move(port_option)) {
    char name[] = "/tmp/weir-redis-XXXXXX";
    INVARIANT(::mkdtemp(name) != nullptr);
    directory_ = name;
    constexpr int kPorts = 10;  // somebody else may take a port between our look and its bind
    for (int i = 0; i < kPorts && pid_ < 0; ++i) {
      port_ = RefusingPort().port();
      start();
    }
    INVARIANT(pid_ > 0, "is redis-server installed?");
  }
  ~RedisServer() {
    stop();
    std::filesystem::remove_all(directory_);
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  Endpoint endpoint() const { return {"127.0.0.1", port_}; }
  redis::ServerOptions options() const {
    redis::ServerOptions options;
    options.server = endpoint();
    return options;
  }

  // On the same port, with nothing in it. Returns when it takes connections.
  void start() {
    pid_ = spawn();
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (takes_connections()) return;
      ::usleep(1000);
    }
    pid_ = -1;
  }
  void stop() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  // Keeps its connections and answers none.
  void pause() {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void resume() { ::kill(pid_, SIGCONT); }

 private:
  pid_t spawn() {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it must not outlive a test that crashed
    if (::getppid() != parent) ::_exit(1);
    Arguments words{
        "redis-server", "--bind",    "127.0.0.1",         "--save", "",        "--appendonly",
        "no",           "--logfile", directory_ + "/log", "--dir",  directory_};
    if (port_option_ != "--port") words.insert(words.end(), {"--port", "0"});
    words.insert(words.end(), {port_option_, std::to_string(port_)});
    words.insert(words.end(), more_.begin(), more_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(1);
  }

  bool takes_connections() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto at = *Address::parse("127.0.0.1", port_);
    const bool taken = ::connect(fd, at.raw(), at.length()) == 0;
    ::close(fd);
    return taken;
  }

  const Arguments more_;
  const std::string port_option_;
  std::string directory_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

// "SET key value", cut at blanks.
inline redis::Command words(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

// Asks the server over a connection of its own, as redis-cli would.
inline Task<redis::Reply> redis_ask(Resolver& resolver, const RedisServer& server,
                                    redis::Command command) {
  const Deadline deadline = resolver.loop().in(kPatience);
  auto connection = co_await redis::Connection::open(resolver, server.endpoint(), deadline);
  INVARIANT(connection, connection.error().text);
  redis::Commands commands(1, std::move(command));
  auto replies = co_await (*connection)->exchange(std::move(commands), deadline);
  INVARIANT(replies, replies.error().text);
  co_return std::move(replies->front());
}

inline Task<redis::Reply> redis_cli(Resolver& resolver, const RedisServer& server,
                                    const std::string& line) {
  return redis_ask(resolver, server, words(line));
}

template <class Rig>
Task<void> run_with_redis(Loop& loop, RedisServer& server,
                          const std::function<Task<void>(Rig&)>& body) {
  Rig rig(loop, server);
  co_await body(rig);
  co_await end_all_others(loop);
}

// Runs a test's body with a rig on a loop and a server of their own, and ends all that it started.
template <class Rig>
void with_redis(const std::function<Task<void>(Rig&)>& body) {
  const QuietLog quiet;
  RedisServer server;
  Loop loop;
  run(loop, run_with_redis<Rig>(loop, server, body));
}

}  // namespace weir::test
