#include "proxy/access/access_control.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <tuple>

namespace weir {

namespace {

// What changes when a file does, also when another one is put in its place.
std::tuple<ino_t, off_t, std::int64_t, std::int64_t> stamp_of(const std::string& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

Task<void> tell_all(Loop& loop, std::deque<HookNotices::Notice> notices, milliseconds patience) {
  HookCaller caller(loop);
  const Deadline end = loop.in(patience);
  for (const auto& notice : notices) {
    for (const auto& [url, body] : notice.messages) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (left <= milliseconds(0)) break;
      auto told = co_await caller.post(url, body, left);
      if (!told) break;
    }
  }
  loop.stop();
}

}  // namespace

Result<std::shared_ptr<const KeySet>> read_keys(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::System, file + ": " + std::strerror(errno));
  std::string text(KeySet::kMaxText + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  auto keys = KeySet::parse(text);
  if (!keys) return fail(keys.error().code, file + ": " + keys.error().text);
  return std::make_shared<const KeySet>(std::move(*keys));
}

AccessControl::AccessControl(LoopGroup& loops, AccessSettings settings, Metrics& metrics)
    : loops_(loops), per_loop_(loops.size()) {
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())] =
        std::make_unique<Access>(loop, shared_, metrics);
  });
  apply(std::move(settings));
  watcher_ = std::jthread([this](const std::stop_token& stopped) { watch(stopped); });
}

AccessControl::~AccessControl() {
  watcher_.request_stop();
  watcher_.join();
  shared_.verdicts.clear();  // they hold grants, which look for their home
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

void AccessControl::apply(AccessSettings settings) {
  AccessOptions options;
  {
    const std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
    options = settings_.options;
  }
  changed_.notify_all();
  spread(std::move(options));
}

void AccessControl::spread(AccessOptions options) {
  const auto shared = std::make_shared<const AccessOptions>(std::move(options));
  loops_.on_each(
      [&](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())]->apply(shared); });
}

void AccessControl::watch(const std::stop_token& stopped) {
  std::string file;
  decltype(stamp_of(file)) seen{};
  std::unique_lock lock(mutex_);
  while (!stopped.stop_requested()) {
    if (settings_.key_file != file) {
      file = settings_.key_file;
      seen = stamp_of(file);
    }
    const auto other = [&] { return settings_.key_file != file; };
    if (file.empty())
      changed_.wait(lock, stopped, other);
    else
      changed_.wait_for(lock, stopped, kLook, other);
    if (stopped.stop_requested() || other() || file.empty()) continue;
    const auto now = stamp_of(file);
    if (now == seen) continue;
    seen = now;
    auto keys = read_keys(file);
    if (!keys) {
      log::error("keys of tokens are not replaced", {{"error", keys.error().text}});
      continue;
    }
    settings_.options.rules.keys = std::move(*keys);
    log::info("keys of tokens replaced",
              {{"file", file}, {"keys", settings_.options.rules.keys->size()}});
    AccessOptions options = settings_.options;
    lock.unlock();
    spread(std::move(options));
    lock.lock();
  }
}

void AccessControl::say_last_words(milliseconds patience) {
  shared_.verdicts.clear();
  std::deque<HookNotices::Notice> all;
  loops_.on_each([&](Loop& loop) {
    auto notices = per_loop_[static_cast<std::size_t>(loop.index())]->take_notices();
    std::ranges::move(notices, std::back_inserter(all));
  });
  if (all.empty()) return;
  Loop loop;
  loop.post([&] { loop.spawn(tell_all(loop, std::move(all), patience)); });
  loop.run();
}

}  // namespace weir
