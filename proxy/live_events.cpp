#include "proxy/live_events.h"

#include <Poco/Exception.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "common/check.h"

namespace weir {
namespace {

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n"
    "\r\n";

std::chrono::milliseconds milliseconds_to(LiveEvents::Clock::time_point until) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(until - LiveEvents::Clock::now()),
                  std::chrono::milliseconds{0});
}

}  // namespace

LiveEvents::LiveEvents(Handlers handlers) : LiveEvents(std::move(handlers), Options{}) {}

LiveEvents::LiveEvents(Handlers handlers, Options options)
    : handlers_(std::move(handlers)),
      options_(options),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  INVARIANT(wake_ >= 0);
  thread_ = std::thread{[this] { run(); }};
}

LiveEvents::~LiveEvents() {
  stopping_ = true;
  ::eventfd_write(wake_, 1);
  thread_.join();
  ::close(wake_);
}

Result<void> LiveEvents::room() const {
  if (count_ < options_.most) return {};
  return fail(Errc::Unavailable, fmt::format("{} watch already", options_.most));
}

void LiveEvents::take(Poco::Net::StreamSocket socket) {
  const std::lock_guard lock(mutex_);
  if (count_ >= options_.most) return;  // several asked at once
  ++count_;
  guests_.push_back(std::move(socket));
  ::eventfd_write(wake_, 1);
}

void LiveEvents::run() {
  auto next_sample = Clock::now() + options_.period;
  while (!stopping_) {
    welcome();
    const auto now = Clock::now();
    if (now >= next_sample) {
      handlers_.sample();
      next_sample = now + options_.sampling;
    }
    if (!watchers_.empty() && now >= next_picture_) {
      const auto picture = handlers_.picture();
      const auto made = Clock::now();
      show(std::make_shared<const std::string>(
          picture ? fmt::format("data: {}\n\n", *picture)
                  : fmt::format("event: trouble\ndata: {}\n\n", picture.error().text)));
      next_picture_ = made + std::max<Clock::duration>(options_.period, (made - now) * kShare);
    }
    const auto pushed = Clock::now();
    std::erase_if(watchers_, [&](Watcher& watcher) {
      const bool gone = !push(watcher, pushed);
      if (gone) --count_;
      return gone;
    });
    wait(watchers_.empty() ? next_sample : std::min(next_sample, next_picture_));
  }
}

void LiveEvents::welcome() {
  std::vector<Poco::Net::StreamSocket> guests;
  {
    const std::lock_guard lock(mutex_);
    guests.swap(guests_);
  }
  for (auto& socket : guests) {
    try {
      socket.setBlocking(false);
      socket.setNoDelay(true);
    } catch (const Poco::Exception&) {
      // It is gone, as the first write will say.
    }
    if (watchers_.empty()) next_picture_ = Clock::now();
    const bool fresh = !watchers_.empty() && last_;
    watchers_.push_back({.socket = std::move(socket),
                         .text = std::make_shared<const std::string>(kHead),
                         .sent = 0,
                         .newest = fresh ? last_ : nullptr,
                         .progress = Clock::now()});
  }
}

void LiveEvents::show(const Text& text) {
  last_ = text;
  for (Watcher& watcher : watchers_) {
    watcher.newest = text;
    if (!watcher.text) watcher.progress = Clock::now();
  }
}

bool LiveEvents::push(Watcher& watcher, Clock::time_point now) const {
  try {
    while (watcher.text || watcher.newest) {
      if (!watcher.text) {
        watcher.text = std::exchange(watcher.newest, nullptr);
        watcher.sent = 0;
      }
      const auto left = watcher.text->size() - watcher.sent;
      const int sent = watcher.socket.sendBytes(watcher.text->data() + watcher.sent,
                                                static_cast<int>(left), MSG_NOSIGNAL);
      if (sent <= 0) return now - watcher.progress < options_.patience;
      watcher.progress = now;
      watcher.sent += static_cast<std::size_t>(sent);
      if (watcher.sent == watcher.text->size()) watcher.text = nullptr;
    }
    return true;
  } catch (const Poco::Exception&) {
    return false;
  }
}

void LiveEvents::wait(Clock::time_point until) {
  std::vector<pollfd> polled{{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const Watcher& watcher : watchers_) {
    const auto events = POLLIN | POLLRDHUP | (watcher.text ? POLLOUT : 0);
    polled.push_back({.fd = watcher.socket.impl()->sockfd(),
                      .events = static_cast<short>(events),
                      .revents = 0});
  }
  if (::poll(polled.data(), polled.size(), static_cast<int>(milliseconds_to(until).count())) <= 0)
    return;
  eventfd_t woken = 0;
  if (polled[0].revents != 0) ::eventfd_read(wake_, &woken);
  std::size_t at = 0;
  std::erase_if(watchers_, [&](const Watcher&) {
    const bool gone = (polled[++at].revents & ~POLLOUT) != 0;
    if (gone) --count_;
    return gone;
  });
}

}  // namespace weir
