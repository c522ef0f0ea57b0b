#include "common/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/config.h"
#include "common/log.h"

namespace weir {

namespace {

// Between two writes, so that many lines share one.
constexpr std::chrono::milliseconds kGather{20};
constexpr mode_t kMode = 0640;

}  // namespace

AccessLog::AccessLog(Options options, Metrics& metrics)
    : options_(std::move(options)),
      lines_(metrics.counter("weir_access_log_lines_total", "Lines of the access log.")),
      dropped_(metrics.counter("weir_access_log_dropped_total",
                               "Lines of the access log that were lost: the disk was too slow, or "
                               "full.")),
      fd_(open_file()) {
  if (fd_ < 0) throw ConfigError("access_log.path: " + std::string(std::strerror(errno)));
  thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  news_.notify_one();
  thread_.join();
  ::close(fd_);
}

int AccessLog::open_file() const {
  if (options_.path == "-") return ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  return ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode);
}

void AccessLog::write(std::string_view line) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + line.size() + 1 > options_.most_waiting) {
      dropped_.Increment();
      return;
    }
    first = waiting_.empty();
    waiting_.append(line).push_back('\n');
  }
  lines_.Increment();
  if (first) news_.notify_one();
}

void AccessLog::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  news_.notify_one();
}

void AccessLog::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    news_.wait(lock, [this] { return stop_ || reopen_ || !waiting_.empty(); });
    const bool last = stop_;
    const bool anew = std::exchange(reopen_, false);
    std::string lines = std::exchange(waiting_, {});
    lock.unlock();
    put(lines);
    if (anew) {
      if (const int fresh = open_file(); fresh >= 0)
        ::close(std::exchange(fd_, fresh));
      else
        log::error("the access log cannot be opened again",
                   {{"path", options_.path}, {"error", std::strerror(errno)}});
    }
    lock.lock();
    if (last) return;
    news_.wait_for(lock, kGather, [this] { return stop_; });
  }
}

void AccessLog::put(const std::string& lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      drop(rest);
      return;
    }
  }
}

void AccessLog::drop(std::string_view lines) {
  static log::Limited trouble{std::chrono::seconds{60}};
  trouble.write(log::Level::Error, "the access log cannot be written",
                {{"path", options_.path}, {"error", std::strerror(errno)}});
  dropped_.Increment(static_cast<double>(std::ranges::count(lines, '\n')));
}

}  // namespace weir
