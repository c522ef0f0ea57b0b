// test/bench/viewer_load.cpp
// Many viewers of one stream, and what they notice (test/bench/viewer.h says how each behaves).
//
//     viewer_load --url=rtmp://127.0.0.1:PORT/app/stream | http://127.0.0.1:PORT/app/stream.flv
//                 --viewers=N [--rate=PER_SECOND] [--warmup=S] [--seconds=S] [--samples=K] [--stalled=M]
//                 [--join-timeout=S] [--raw] [--hold] [--json]
//
// Viewers connect at the given rate (0: at once) from addresses spread over 127.0.0.x, until each has its first
// complete keyframe or the join timeout is over; then comes the warm-up, then the measurement window. Lines on
// standard output tell a driver where it is: "joined", "begin", "end", and then the result. With --hold the
// viewers stay until SIGTERM, so that a driver can look at the server further; with --raw the result lists
// every viewer's connect and keyframe time. Two or more may run side by side: a process has 20,000 descriptors.
//
// Threading: one thread, epoll level-triggered.

#include <sys/resource.h>

#include <deque>

#include "test/bench/arguments.h"
#include "test/bench/viewer.h"

namespace weir::bench {
namespace {

struct Url {
  bool rtmp;
  int port;
  RtmpClient::Target rtmp_target;
  FlvClient::Target flv_target;
};

Url parse_url(const std::string& url) {
  const auto slashes = url.find("://");
  const auto path = slashes == url.npos ? url.npos : url.find('/', slashes + 3);
  if (path == url.npos) {
    std::fprintf(stderr, "--url=%s is not scheme://host:port/app/stream\n", url.c_str());
    std::exit(2);
  }
  const auto colon = url.find(':', slashes + 3);
  const auto last = url.rfind('/');
  return {url.starts_with("rtmp"),
          std::atoi(url.c_str() + colon + 1),
          {.tc_url = url.substr(0, last),
           .app = url.substr(path + 1, last > path ? last - path - 1 : 0),
           .stream = url.substr(last + 1)},
          {.host = url.substr(slashes + 3, path - slashes - 3), .path = url.substr(path)}};
}

void tell(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return values[at];
}

class Load {
 public:
  Load(const Url& url, const Arguments& arguments)
      : url_(url),
        count_(arguments.integer("viewers")),
        samples_wanted_(std::min(arguments.integer("samples"), count_)),
        stalled_wanted_(std::min(arguments.integer("stalled"), count_ - samples_wanted_)) {}

  void join(double rate, double timeout_s) {
    const std::int64_t start_ns = monotonic_ns();
    const auto timeout_ns = static_cast<std::int64_t>(timeout_s * 1e9);
    std::int64_t last_connect_ns = start_ns;
    while (connected_ < count_ || monotonic_ns() - last_connect_ns < timeout_ns) {
      const double elapsed_s = static_cast<double>(monotonic_ns() - start_ns) / 1e9;
      const int due = rate > 0 ? static_cast<int>(elapsed_s * rate) + 1 : count_;
      for (int i = 0; i < 64 && connected_ < std::min(due, count_); ++i) {
        connect_one();
        last_connect_ns = monotonic_ns();
      }
      turn(1, nullptr);
      if (connected_ == count_ && unsettled() == 0) return;
    }
  }

  void watch_for(double seconds, Samples* samples) {
    const std::int64_t end_ns = monotonic_ns() + static_cast<std::int64_t>(seconds * 1e9);
    while (monotonic_ns() < end_ns) turn(2, samples);
  }

  [[noreturn]] void hold() {
    for (;;) turn(100, nullptr);
  }

  std::uint64_t received() const {
    std::uint64_t sum = 0;
    for (const Viewer& viewer : viewers_) sum += viewer.received;
    return sum;
  }

  void report(double window_s, std::uint64_t bytes, const Samples& samples, bool json,
              bool raw) const {
    int joined = 0, refused = 0, lost = 0, stalled_closed = 0, without_keyframe = 0;
    std::vector<double> joins;
    for (const Viewer& viewer : viewers_) {
      refused += viewer.fate == Fate::Refused;
      const bool stalled = viewer.conduct() == Conduct::Stall;
      (stalled ? stalled_closed : lost) += viewer.fate == Fate::Lost;
      without_keyframe += viewer.started_without_keyframe;
      joined += viewer.keyframe_ns >= 0;
      if (viewer.keyframe_ns >= 0)
        joins.push_back(static_cast<double>(viewer.keyframe_ns - viewer.connect_ns) / 1e6);
    }
    std::printf(json ? "{\"viewers\": %d, \"joined\": %d, \"refused\": %d, \"lost\": %d, "
                       "\"stalled\": %d, \"stalled_closed\": %d, \"starts_without_keyframe\": %d, "
                       "\"window_s\": %.3f, \"bytes\": %llu, "
                     : "viewers %d joined %d refused %d lost %d stalled %d stalled_closed %d "
                       "starts_without_keyframe %d\nwindow %.3f s, %llu bytes\n",
                count_, joined, refused, lost, stalled_wanted_, stalled_closed, without_keyframe,
                window_s, static_cast<unsigned long long>(bytes));
    std::printf(json ? "\"join_p50_ms\": %.2f, \"join_p99_ms\": %.2f, \"join_max_ms\": %.2f, "
                       "\"latency_p50_ms\": %.3f, \"latency_p99_ms\": %.3f, "
                       "\"largest_gap_ms\": %.1f, "
                     : "join p50 %.2f p99 %.2f max %.2f ms\nlatency p50 %.3f p99 %.3f ms\n"
                       "largest gap %.1f ms\n",
                percentile(joins, 0.5), percentile(joins, 0.99), percentile(joins, 1),
                percentile(samples.latency_ms, 0.5), percentile(samples.latency_ms, 0.99),
                samples.largest_gap_ms);
    const auto count = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(json ? "\"frames\": %llu, \"lost_frames\": %llu, \"disordered_frames\": %llu, "
                       "\"unstamped_frames\": %llu"
                     : "frames %llu lost %llu disordered %llu unstamped %llu\n",
                count(samples.frames), count(samples.lost_frames), count(samples.disordered_frames),
                count(samples.unstamped_frames));
    if (json && raw) {
      std::printf(", \"joins_ns\": [");
      for (std::size_t i = 0; i < viewers_.size(); ++i)
        std::printf("%s[%lld,%lld]", i ? "," : "", static_cast<long long>(viewers_[i].connect_ns),
                    static_cast<long long>(viewers_[i].keyframe_ns));
      std::printf("]");
    }
    tell(json ? "}" : "");
  }

 private:
  // Sample viewers and stalled ones are spread evenly among the others.
  Conduct conduct_of(int i) const {
    const auto falls = [&](int share, int at) {
      return std::int64_t{at + 1} * share / count_ != std::int64_t{at} * share / count_;
    };
    if (falls(samples_wanted_, i)) return Conduct::Sample;
    if (stalled_wanted_ > 0 && falls(stalled_wanted_ + samples_wanted_, i) &&
        stalled_made_ < stalled_wanted_)
      return Conduct::Stall;
    return Conduct::Discard;
  }

  void connect_one() {
    const int i = connected_++;
    const Conduct conduct = conduct_of(i);
    stalled_made_ += conduct == Conduct::Stall;
    Viewer::Client client = url_.rtmp ? Viewer::Client(RtmpClient(url_.rtmp_target))
                                      : Viewer::Client(FlvClient(url_.flv_target));
    Viewer& viewer = viewers_.emplace_back(conduct, std::move(client));
    viewer.connect(INADDR_LOOPBACK + 1 + static_cast<std::uint32_t>(i % 250), url_.port);
    if (viewer.fd >= 0)
      watch(poller_, EPOLL_CTL_ADD, viewer.fd, EPOLLIN | EPOLLOUT, &viewer);
    else
      ++settled_;
  }

  void turn(int timeout_ms, Samples* samples) {
    epoll_event events[512];
    const int n = epoll_wait(poller_, events, 512, timeout_ms);
    for (int i = 0; i < n; ++i) {
      Viewer& viewer = *static_cast<Viewer*>(events[i].data.ptr);
      const bool settled = viewer.fate != Fate::Alive || viewer.keyframe_ns >= 0;
      if (viewer.fate == Fate::Alive) viewer.on_event(poller_, events[i].events, samples);
      settled_ += !settled && (viewer.fate != Fate::Alive || viewer.keyframe_ns >= 0);
    }
  }

  int unsettled() const { return connected_ - settled_; }

  const Url& url_;
  const int count_, samples_wanted_, stalled_wanted_;
  int connected_ = 0, settled_ = 0, stalled_made_ = 0;
  const int poller_ = epoll_create1(EPOLL_CLOEXEC);
  std::deque<Viewer> viewers_;  // never moved: epoll points at them
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const Arguments arguments(argc, argv,
                            {{"url", ""},
                             {"viewers", "100"},
                             {"rate", "0"},
                             {"warmup", "2"},
                             {"seconds", "10"},
                             {"samples", "10"},
                             {"stalled", "0"},
                             {"join-timeout", "15"},
                             {"raw", "0"},
                             {"hold", "0"},
                             {"json", "0"}});
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  const Url url = parse_url(arguments.text("url"));
  Load load(url, arguments);
  load.join(arguments.number("rate"), arguments.number("join-timeout"));
  tell("joined");
  load.watch_for(arguments.number("warmup"), nullptr);

  Samples samples;
  const std::uint64_t bytes_before = load.received();
  const std::int64_t begin_ns = monotonic_ns();
  tell("begin");
  load.watch_for(arguments.number("seconds"), &samples);
  const double window_s = static_cast<double>(monotonic_ns() - begin_ns) / 1e9;
  const std::uint64_t bytes = load.received() - bytes_before;
  tell("end");
  load.report(window_s, bytes, samples, arguments.flag("json"), arguments.flag("raw"));
  if (arguments.flag("hold")) load.hold();
}
