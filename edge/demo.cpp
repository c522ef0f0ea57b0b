#include "edge/demo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <map>
#include <thread>
#include <vector>

#include "common/config.h"
#include "common/io/address.h"

namespace weir {

namespace {

using namespace std::chrono_literals;

constexpr auto kStartUp = 10s;
constexpr auto kWindUp = 8s;

// A port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const Address any = *Address::parse("127.0.0.1", 0);
  if (fd < 0 || ::bind(fd, any.raw(), any.length()) != 0)
    throw ConfigError("demo: no free port on 127.0.0.1");
  const std::uint16_t port = Address::of_socket(fd).port();
  ::close(fd);
  return port;
}

bool answers(const Endpoint& endpoint) {
  auto to = Address::parse(endpoint.host.empty() ? "127.0.0.1" : endpoint.host, endpoint.port);
  if (!to) return true;  // a name: not ours to judge
  const int fd = ::socket(to->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, to->raw(), to->length()) == 0;
  ::close(fd);
  return connected;
}

class Demo {
 public:
  explicit Demo(const CommandLine& line) : line_(line) {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals_, signal);
    sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  ~Demo() { end_all(); }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;

  int run() {
    const Config edge = edge_config();
    const auto edge_rtmp = edge.listen("listen.rtmp");
    const auto edge_http = edge.listen("listen.http");
    if (!edge_rtmp || !edge_http) throw ConfigError("demo: listen.rtmp and listen.http must be on");
    const Endpoint origin_rtmp{"127.0.0.1", free_port()};
    const Endpoint origin_http{"127.0.0.1", free_port()};
    const Endpoint proxy_rtmp{"127.0.0.1", free_port()};
    const Endpoint proxy_http{"127.0.0.1", free_port()};
    const Endpoint proxy_system{"127.0.0.1", free_port()};
    start_node("origin", "edge", origin_rtmp, origin_http, {}, {});
    start_node("proxy", "proxy", proxy_rtmp, proxy_http, proxy_system,
               upstream("origin", origin_rtmp, origin_http));
    Words proxy = upstream("proxy", proxy_rtmp, proxy_http);
    proxy.insert(proxy.end(), {"--set", "upstream.proxy.api=" + to_string(proxy_system)});
    start_edge(proxy);
    for (const Endpoint& endpoint : {origin_rtmp, proxy_rtmp, *edge_rtmp, *edge_http})
      if (!wait_until_answers(endpoint)) return failed();
    if (line_.demo_source) start_source(proxy_rtmp);
    print(edge, proxy_rtmp, proxy_http, proxy_system, origin_rtmp, origin_http);
    return watch();
  }

 private:
  using Words = std::vector<std::string>;

  Config edge_config() const {
    return Config::load({.file = line_.config_file,
                         .environment = process_environment(),
                         .dotenv = {},
                         .overrides = line_.overrides,
                         .role = "edge"});
  }

  static Words upstream(const std::string& name, const Endpoint& rtmp, const Endpoint& http) {
    const std::string section = "upstream." + name + ".";
    return {"--set", section + "host=" + rtmp.host,
            "--set", section + "rtmp=" + std::to_string(rtmp.port),
            "--set", section + "http=" + std::to_string(http.port)};
  }

  void start_node(const std::string& name, const std::string& role, const Endpoint& rtmp,
                  const Endpoint& http, const std::optional<Endpoint>& system, const Words& more) {
    Words words{"/proc/self/exe", "--role=" + role};
    auto set = [&](const std::string& key, const std::string& value) {
      words.insert(words.end(), {"--set", key + "=" + value});
    };
    set("listen.rtmp", to_string(rtmp));
    set("listen.http", to_string(http));
    set("listen.system", system ? to_string(*system) : "");
    for (const char* off : {"listen.api", "listen.webrtc", "listen.srt", "listen.rtsp"})
      set(off, "");
    set("log.level", "warn");
    set("workers", "1");
    set("node.id", name);
    words.insert(words.end(), more.begin(), more.end());
    start(name, words);
  }

  void start_edge(const Words& more) {
    Words words{"/proc/self/exe", "--role=edge", "--set",
                "log.level=warn", "--set",       "node.id=edge"};
    if (line_.config_file) words.push_back("--config=" + *line_.config_file);
    for (const auto& each : line_.overrides) words.insert(words.end(), {"--set", each});
    words.insert(words.end(), more.begin(), more.end());
    start("edge", words);
  }

  void start_source(const Endpoint& to) {
    start("source", {"ffmpeg",
                     "-hide_banner",
                     "-loglevel",
                     "error",
                     "-nostdin",
                     "-re",
                     "-f",
                     "lavfi",
                     "-i",
                     "testsrc2=size=640x360:rate=25",
                     "-f",
                     "lavfi",
                     "-i",
                     "sine=frequency=440:sample_rate=44100",
                     "-c:v",
                     "libx264",
                     "-preset",
                     "ultrafast",
                     "-tune",
                     "zerolatency",
                     "-pix_fmt",
                     "yuv420p",
                     "-g",
                     "50",
                     "-b:v",
                     "800k",
                     "-c:a",
                     "aac",
                     "-b:a",
                     "64k",
                     "-f",
                     "flv",
                     "rtmp://" + to_string(to) + "/live/demo"});
  }

  void start(const std::string& name, const Words& words) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(1);
      sigprocmask(SIG_SETMASK, &before_, nullptr);
      ::setpgid(0, 0);  // Ctrl-C reaches the demo alone, which ends the others in order
      const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      ::dup2(nothing, STDIN_FILENO);
      ::dup2(nothing, STDOUT_FILENO);
      ::execvp(arguments[0], arguments.data());
      ::_exit(kCannotStart);
    }
    if (pid < 0) throw ConfigError("demo: cannot start " + name);
    parts_[pid] = name;
  }

  // Notes who has ended. Without a source, because ffmpeg is missing, the cluster is of use still.
  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      const std::string name = parts_[pid];
      parts_.erase(pid);
      const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == kCannotStart;
      if (name == "source" && missing) {
        std::printf("ffmpeg is not installed: publish a stream of your own to the proxy's URL\n");
        std::fflush(stdout);
      } else if (!ending_) {
        std::fprintf(stderr, "weir demo: %s has ended\n", name.c_str());
        dead_ = true;
      }
    }
  }

  bool wait_until_answers(const Endpoint& endpoint) {
    const auto deadline = std::chrono::steady_clock::now() + kStartUp;
    while (!dead_ && std::chrono::steady_clock::now() < deadline) {
      if (answers(endpoint)) return true;
      std::this_thread::sleep_for(20ms);
      reap();
    }
    return false;
  }

  int failed() const {
    if (!dead_) std::fprintf(stderr, "weir demo: a node does not answer\n");
    return 1;
  }

  void print(const Config& edge, const Endpoint& proxy_rtmp, const Endpoint& proxy_http,
             const Endpoint& proxy_system, const Endpoint& origin_rtmp,
             const Endpoint& origin_http) const {
    auto url = [](const char* scheme, Endpoint at, const char* path) {
      if (at.host.empty()) at.host = "127.0.0.1";
      return std::string(scheme) + "://" + to_string(at) + path;
    };
    const Endpoint edge_rtmp = *edge.listen("listen.rtmp");
    const Endpoint edge_http = *edge.listen("listen.http");
    std::printf(
        "weir demo: publishers ─► proxy ─► origin; viewers ◄─ edge ◄─ proxy. Ctrl-C ends it.\n\n");
    std::printf("  publish            %s\n", url("rtmp", proxy_rtmp, "/live/demo").c_str());
    std::printf("  play from edge     %s\n", url("rtmp", edge_rtmp, "/live/demo").c_str());
    std::printf("                     %s\n", url("http", edge_http, "/live/demo.flv").c_str());
    std::printf("  play from proxy    %s\n", url("rtmp", proxy_rtmp, "/live/demo").c_str());
    std::printf("                     %s\n", url("http", proxy_http, "/live/demo.flv").c_str());
    std::printf("  play from origin   %s\n", url("rtmp", origin_rtmp, "/live/demo").c_str());
    std::printf("                     %s\n", url("http", origin_http, "/live/demo.flv").c_str());
    if (const auto system = edge.listen("listen.system"))
      std::printf("  console of edge    %s\n", url("http", *system, "/console/").c_str());
    std::printf("  console of proxy   %s\n\n", url("http", proxy_system, "/console/").c_str());
    std::fflush(stdout);
  }

  int watch() {
    const bool limited = line_.demo_seconds.has_value();
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(line_.demo_seconds.value_or(0));
    while (!dead_) {
      const auto now = std::chrono::steady_clock::now();
      if (limited && now >= end) return 0;
      const timespec quarter_second{.tv_sec = 0, .tv_nsec = 250'000'000};
      const int signal = ::sigtimedwait(&signals_, nullptr, &quarter_second);
      if (signal == SIGINT || signal == SIGTERM) return 0;
      reap();
    }
    return 1;
  }

  void end_all() {
    ending_ = true;
    for (const auto& [pid, name] : parts_) ::kill(pid, SIGINT);
    const auto deadline = std::chrono::steady_clock::now() + kWindUp;
    while (!parts_.empty() && std::chrono::steady_clock::now() < deadline) {
      reap();
      std::this_thread::sleep_for(10ms);
    }
    for (const auto& [pid, name] : parts_) ::kill(pid, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  static constexpr int kCannotStart = 127;

  const CommandLine& line_;
  sigset_t signals_{};
  sigset_t before_{};
  std::map<pid_t, std::string> parts_;
  bool dead_ = false;
  bool ending_ = false;
};

}  // namespace

int run_demo(const CommandLine& line) {
  Demo demo(line);
  return demo.run();
}

}  // namespace weir
