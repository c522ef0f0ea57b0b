// test/bench/viewer.h
// One viewer of the load generator: what it has seen, and how cheaply it looks.
//
// It parses until its first complete keyframe. From there on it has the kernel throw the bytes away
// (MSG_TRUNC), for a sink that copies and parses steals the core from what is measured. A sample viewer goes on
// parsing and reads the stamps; a stalled viewer reads nothing more.
#pragma once

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "test/bench/flv_client.h"
#include "test/bench/rtmp_client.h"
#include "test/bench/sockets.h"
#include "test/bench/stamp.h"

namespace weir::bench {

enum class Conduct { Discard, Sample, Stall };
enum class Fate { Alive, Refused, Lost };

// What the sample viewers together saw within the measurement window.
struct Samples {
  std::vector<double> latency_ms;
  double largest_gap_ms = 0;
  std::uint64_t frames = 0, lost_frames = 0, disordered_frames = 0, unstamped_frames = 0;
};

class Viewer {
 public:
  using Client = std::variant<RtmpClient, FlvClient>;

  Viewer(Conduct conduct, Client client) : conduct_(conduct), client_(std::move(client)) {}

  void connect(std::uint32_t source, int port) {
    connect_ns = monotonic_ns();
    fd = connect_from(source, port);
    if (fd < 0) fate = Fate::Refused;
  }

  // Does what one event of level-triggered epoll asks for. `samples` is null outside the window.
  void on_event(int poller, std::uint32_t events, Samples* samples) {
    if (!client_) return discard();
    ByteBuffer out;
    if (!started_) {
      if (events & (EPOLLERR | EPOLLHUP)) return end(Fate::Refused);
      started_ = true;
      std::visit([&](auto& client) { client.start(out); }, *client_);
      watch(poller, EPOLL_CTL_MOD, fd, EPOLLIN, this);
    } else if (!parse(out, samples)) {
      return end(keyframe_ns < 0 ? Fate::Refused : Fate::Lost);
    }
    say(out);
    if (keyframe_ns < 0 || conduct_ == Conduct::Sample) return;
    client_.reset();
    if (conduct_ == Conduct::Stall) watch(poller, EPOLL_CTL_MOD, fd, 0, this);
  }

  Conduct conduct() const { return conduct_; }

  int fd = -1;
  Fate fate = Fate::Alive;
  std::int64_t connect_ns = 0;
  std::int64_t keyframe_ns = -1;  // when the first complete keyframe was here
  std::uint64_t received = 0;     // bytes
  bool started_without_keyframe = false;

 private:
  void discard() {
    const ssize_t n = recv(fd, nullptr, 1U << 20, MSG_TRUNC);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return end(Fate::Lost);
    if (n > 0) received += static_cast<std::uint64_t>(n);
    ByteBuffer out;
    say(out);
  }

  bool parse(ByteBuffer& out, Samples* samples) {
    static std::uint8_t block[262144];
    const ssize_t n = recv(fd, block, sizeof block, 0);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    received += static_cast<std::uint64_t>(n);
    const std::int64_t now_ns = monotonic_ns();
    const auto on_media = [&](rtmp::Type type, ByteView payload) {
      if (type == rtmp::Type::Video && payload.size() > kStampOffset && payload[1] == 1)
        on_frame(payload, now_ns, samples);
    };
    const auto feed = [&](auto& client) {
      const bool good = client.feed(ByteView(block, static_cast<std::size_t>(n)), out, on_media);
      ack_window_ = client.ack_window();
      return good;
    };
    return std::visit(feed, *client_);
  }

  void on_frame(ByteView payload, std::int64_t now_ns, Samples* samples) {
    const bool keyframe = payload[0] >> 4 == 1;
    if (last_frame_ns_ < 0) started_without_keyframe = !keyframe;
    if (keyframe && keyframe_ns < 0) keyframe_ns = now_ns;
    const auto stamp = find_stamp(payload);
    if (samples && conduct_ == Conduct::Sample) measure(stamp, now_ns, *samples);
    if (stamp) last_sequence_ = stamp->sequence;
    last_frame_ns_ = now_ns;
  }

  void measure(const std::optional<Stamp>& stamp, std::int64_t now_ns, Samples& samples) const {
    ++samples.frames;
    const double gap_ms = static_cast<double>(now_ns - last_frame_ns_) / 1e6;
    if (last_frame_ns_ >= 0) samples.largest_gap_ms = std::max(samples.largest_gap_ms, gap_ms);
    if (!stamp) {
      ++samples.unstamped_frames;
      return;
    }
    samples.latency_ms.push_back(static_cast<double>(now_ns - stamp->sent_ns) / 1e6);
    if (!last_sequence_) return;
    const auto step = static_cast<std::int32_t>(stamp->sequence - *last_sequence_);
    if (step < 1) ++samples.disordered_frames;
    if (step > 1) samples.lost_frames += static_cast<std::uint32_t>(step - 1);
  }

  // RTMP 5.4.3 goes along. What a viewer says fits any socket buffer: a server that does not take it has failed.
  void say(ByteBuffer& out) {
    if (ack_window_ > 0 && received - acknowledged_ >= ack_window_) {
      acknowledged_ = received;
      write_control(out, rtmp::Type::Acknowledgement, static_cast<std::uint32_t>(received));
    }
    if (!out.empty() && ::send(fd, out.data(), out.size(), MSG_NOSIGNAL) < 0) end(Fate::Lost);
  }

  void end(Fate how) {
    fate = how;
    close(std::exchange(fd, -1));
  }

  Conduct conduct_;
  std::optional<Client> client_;  // until nothing is parsed any more
  std::int64_t last_frame_ns_ = -1;
  std::optional<std::uint32_t> last_sequence_;
  std::uint64_t acknowledged_ = 0;
  std::uint32_t ack_window_ = 0;
  bool started_ = false;
};

}  // namespace weir::bench
