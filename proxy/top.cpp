#include "proxy/top.h"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/config_sources.h"
#include "common/config_value.h"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPlainColumns = 100;
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr char kControlC = 3;

class Node {
 public:
  explicit Node(const TopOptions& options) : token_(options.token) {
    try {
      const Poco::URI uri(options.url.find("://") == std::string::npos ? "http://" + options.url
                                                                       : options.url);
      if (uri.getScheme() != "http" || uri.getHost().empty())
        throw ConfigError(fmt::format("{}: not an http:// address of a node's API", options.url));
      session_.setHost(uri.getHost());
      session_.setPort(uri.getPort());
    } catch (const Poco::SyntaxException&) {
      throw ConfigError(fmt::format("{}: not a URL", options.url));
    }
    session_.setTimeout(Poco::Timespan(std::chrono::microseconds(TopOptions::kPatience).count()));
    session_.setKeepAlive(true);
    where_ = fmt::format("{}:{}", session_.getHost(), session_.getPort());
  }

  // Errors: Denied, Protocol, Unavailable; with the address.
  Result<TopPicture> picture() {
    const std::string streams = fmt::format("/api/v1/streams?count={}", TopPicture::kMaxStreams);
    std::string answers[3];
    const std::string targets[] = {"/api/v1/summaries", streams, "/api/v1/upstreams"};
    for (std::size_t i = 0; i < std::size(targets); ++i) {
      auto answer = get(targets[i]);
      if (!answer) return std::unexpected(answer.error());
      answers[i] = std::move(*answer);
    }
    auto picture = TopPicture::of(answers[0], answers[1], answers[2]);
    if (!picture) return fail(Errc::Protocol, fmt::format("{}: {}", where_, picture.error().text));
    return picture;
  }

 private:
  Result<std::string> get(const std::string& target) {
    try {
      Poco::Net::HTTPRequest request{"GET", target, Poco::Net::HTTPRequest::HTTP_1_1};
      if (!token_.empty()) request.set("Authorization", "Bearer " + token_);
      session_.sendRequest(request);
      Poco::Net::HTTPResponse response;
      std::string body;
      Poco::StreamCopier::copyToString(session_.receiveResponse(response), body);
      if (response.getStatus() == Poco::Net::HTTPResponse::HTTP_UNAUTHORIZED)
        return fail(Errc::Denied,
                    fmt::format("{}: the API token is missing or wrong: --token, or WEIR_API_TOKEN "
                                "in the environment",
                                where_));
      if (response.getStatus() != Poco::Net::HTTPResponse::HTTP_OK)
        return fail(Errc::Unavailable, fmt::format("{}: {} answers {}", where_, target,
                                                   static_cast<int>(response.getStatus())));
      return body;
    } catch (const Poco::Exception& error) {
      session_.reset();
      return fail(Errc::Unavailable, fmt::format("{}: {}", where_, error.displayText()));
    }
  }

  const std::string token_;
  std::string where_;
  Poco::Net::HTTPClientSession session_;
};

volatile std::sig_atomic_t g_signal = 0;

// The other screen, and keys as they are pressed, for as long as it lives.
class Terminal {
 public:
  Terminal() {
    struct sigaction action{};
    action.sa_handler = [](int number) { g_signal = number; };
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGWINCH})
      sigaction(number, &action, nullptr);
    keys_ = ::isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write(kEnter);
  }
  ~Terminal() {
    write(kLeave);
    if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  static void size(TopScreen& screen) {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size = {24, 80, 0, 0};
    screen.columns = size.ws_col;
    screen.rows = size.ws_row;
  }

  static void show(const std::vector<std::string>& lines) {
    std::string out = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i)
      out += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
    write(out + "\x1b[J");
  }

  // What was pressed before `until`, or nothing; a signal ends the wait.
  std::string keys(Clock::time_point until) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{.fd = keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return {};
    char bytes[64];
    const auto count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count <= 0) return {kControlC};
    return {bytes, static_cast<std::size_t>(count)};
  }

 private:
  static void write(std::string_view text) {
    while (!text.empty()) {
      const auto count = ::write(STDOUT_FILENO, text.data(), text.size());
      if (count <= 0 && errno != EINTR) return;
      text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
  }

  termios before_{};
  bool keys_ = false;
};

TopSort next(TopSort sort) {
  return sort == TopSort::Age ? TopSort::Viewers : static_cast<TopSort>(static_cast<int>(sort) + 1);
}

// False: it is to end.
bool press(std::string_view key, TopScreen& screen, std::size_t streams) {
  const std::size_t page = screen.rows.value_or(20) / 2;
  const std::size_t last = streams > 0 ? streams - 1 : 0;
  const auto down = [&](std::size_t by) { screen.first = std::min(screen.first + by, last); };
  const auto up = [&](std::size_t by) { screen.first -= std::min(screen.first, by); };
  if (key == "\x1b[A" || key == "k") up(1);
  if (key == "\x1b[B" || key == "j") down(1);
  if (key == "\x1b[5~" || key == "b") up(page);
  if (key == "\x1b[6~" || key == " ") down(page);
  if (key == "s") screen.sort = next(screen.sort);
  if (key == "v") screen.sort = TopSort::Viewers;
  if (key == "r") screen.sort = TopSort::Rate;
  if (key == "n") screen.sort = TopSort::Name;
  if (key == "a") screen.sort = TopSort::Age;
  return key != "q" && key != std::string_view(&kControlC, 1);
}

// Takes one key off the front: a letter, or a sequence such as ESC [ A.
std::string_view take_key(std::string_view& keys) {
  std::size_t size = 1;
  if (keys.starts_with("\x1b[")) {
    size = 2;
    while (size < keys.size() && (keys[size] < '@' || keys[size] > '~')) ++size;
    size = std::min(size + 1, keys.size());
  }
  const auto key = keys.substr(0, size);
  keys.remove_prefix(size);
  return key;
}

// False: one of them ends it.
bool press_all(std::string_view keys, TopScreen& screen, std::size_t streams) {
  while (!keys.empty())
    if (!press(take_key(keys), screen, streams)) return false;
  return true;
}

int print_once(Node& node, TopScreen screen) {
  const auto picture = node.picture();
  if (!picture) throw ConfigError(picture.error().text);
  const char* columns = std::getenv("COLUMNS");
  const auto wanted = parse_integer(columns != nullptr ? columns : "");
  screen.columns = wanted && *wanted > 0 ? static_cast<std::size_t>(*wanted) : kPlainColumns;
  for (const auto& line : screen.lines(&*picture)) std::puts(line.c_str());
  return 0;
}

}  // namespace

int run_top(const TopOptions& options) {
  Node node(options);
  TopScreen screen{.sort = options.sort};
  if (options.once || ::isatty(STDOUT_FILENO) != 1) return print_once(node, screen);
  auto picture = node.picture();
  if (!picture) throw ConfigError(picture.error().text);
  screen.colours = std::getenv("NO_COLOR") == nullptr;

  Terminal terminal;
  auto due = Clock::now() + TopOptions::kPeriod;
  TopPicture shown = std::move(*picture);
  while (true) {
    Terminal::size(screen);
    Terminal::show(screen.lines(&shown));
    const auto keys = terminal.keys(due);
    if (!press_all(keys, screen, shown.streams.size())) return 0;
    if (g_signal != 0 && g_signal != SIGWINCH) return 0;
    g_signal = 0;
    if (Clock::now() < due) continue;
    due = Clock::now() + TopOptions::kPeriod;
    picture = node.picture();
    screen.trouble = picture ? "" : picture.error().text;
    if (picture) shown = std::move(*picture);
  }
}

}  // namespace weir
