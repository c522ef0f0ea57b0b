#include "cache/segment_store.h"

#include <algorithm>

#include "common/check.h"
#include "common/log.h"

namespace weir {

namespace {

constexpr int kMaxLostFiles = 3;  // each is never freed
constexpr std::uint64_t kShareToFree = 8;
constexpr std::uint64_t kTransactionShare = 16;
constexpr std::size_t kSweptAtOnce = 256;

TierObject::Time wall_time() { return std::chrono::system_clock::now(); }

// Pages that a transaction frees are of use only to the next: a small file has no room for large ones.
SegmentStore::Options fitting(SegmentStore::Options options) {
  const std::uint64_t most = options.size / kTransactionShare;
  options.transaction_bytes = std::min<std::uint64_t>(options.transaction_bytes, most);
  return options;
}

}  // namespace

SegmentStore::Counters::Counters(Metrics& metrics)
    : up(metrics.gauge("weir_disk_cache_up", "1 while the cache's disk is in use.")),
      entries(metrics.gauge("weir_disk_cache_entries", "Objects on disk.")),
      bytes(metrics.gauge("weir_disk_cache_bytes", "Bytes used on disk, about.")),
      hits(metrics.counter("weir_disk_cache_lookups_total", "Objects looked for on disk.",
                           {{"result", "hit"}})),
      misses(metrics.counter("weir_disk_cache_lookups_total", "Objects looked for on disk.",
                             {{"result", "miss"}})),
      corrupt(metrics.counter("weir_disk_cache_lookups_total", "Objects looked for on disk.",
                              {{"result", "corrupt"}})),
      dropped(metrics.counter("weir_disk_cache_dropped_total",
                              "Requests to the disk given up because too many waited, or for want "
                              "of a disk.")),
      evicted(metrics.counter("weir_disk_cache_evictions_total",
                              "Objects removed from disk to make room.")),
      errors(metrics.counter("weir_disk_cache_errors_total", "Failures of the disk or its file.")) {
}

SegmentStore::SegmentStore(Options options, Metrics& metrics)
    : options_(fitting(std::move(options))), counters_(metrics), thread_([this] { run(); }) {}

SegmentStore::~SegmentStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  came_.notify_one();
  thread_.join();
}

void SegmentStore::get(std::string key, Got on_done) {
  Loop* home = Loop::current();
  INVARIANT(home != nullptr);
  Request request{.kind = Request::Kind::Get, .key = std::move(key)};
  request.on_done = std::move(on_done);
  request.home = home;
  if (!enqueue(request)) answer(request, std::nullopt);
}

void SegmentStore::put(std::string key, TierObject object) {
  Request request{.kind = Request::Kind::Put, .key = std::move(key)};
  request.bytes = request.key.size() + object.head.size() + object.body_size();
  request.object = std::move(object);
  enqueue(request);
}

void SegmentStore::erase(std::string key) {
  Request request{.kind = Request::Kind::Erase, .key = std::move(key)};
  enqueue(request);
}

void SegmentStore::erase_prefix(std::string prefix) {
  Request request{.kind = Request::Kind::ErasePrefix, .key = std::move(prefix)};
  enqueue(request);
}

bool SegmentStore::enqueue(Request& request) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const bool full = waiting_ >= options_.max_waiting ||
                      request.bytes > options_.max_waiting_bytes - waiting_bytes_;
    if (full) {
      counters_.dropped.Increment();
      return false;
    }
    ++waiting_;
    waiting_bytes_ += request.bytes;
    wake = inbox_.empty();
    inbox_.push_back(std::move(request));
  }
  if (wake) came_.notify_one();
  return true;
}

void SegmentStore::answer(Request& request, std::optional<TierObject> object) {
  request.home->post([on_done = std::move(request.on_done), object = std::move(object)]() mutable {
    on_done(std::move(object));
  });
}

void SegmentStore::run() {
  open();
  while (true) {
    std::vector<Request> arrived;
    bool stop = false;
    {
      std::unique_lock lock(mutex_);
      const auto work = [this] { return stopping_ || !inbox_.empty(); };
      if (changes_.empty() && sweeps_.empty())
        came_.wait(lock, work);
      else if (sweeps_.empty())
        came_.wait_until(lock, write_at_, work);
      arrived.swap(inbox_);
      stop = stopping_;
    }
    for (Request& request : arrived) take(std::move(request));
    const bool due = stop || write_now_ || change_bytes_ >= options_.transaction_bytes ||
                     Clock::now() >= write_at_;
    if (!changes_.empty() && due) write_some();
    if (!sweeps_.empty()) sweep_some();
    if (stop && arrived.empty() && changes_.empty() && sweeps_.empty()) return;
  }
}

void SegmentStore::take(Request request) {
  if (file_ == nullptr && Clock::now() >= open_again_) open();
  const bool is_get = request.kind == Request::Kind::Get;
  if (file_ == nullptr) {
    if (!is_get) counters_.dropped.Increment();
    finish(request);
    return;
  }
  if (request.kind == Request::Kind::ErasePrefix) {
    while (!changes_.empty()) write_some();  // those are older
    if (file_ != nullptr) sweeps_.push_back(file_->sweep(std::move(request.key)));
    finish(request);
    return;
  }
  if (is_get && !changing_.contains(request.key)) {
    auto looked = look_up(request);
    if (!looked) give_up(looked.error());
    finish(request);
    return;
  }
  if (is_get)
    write_now_ = true;
  else
    changing_.insert(request.key);
  if (changes_.empty()) write_at_ = Clock::now() + options_.gather;
  change_bytes_ += request.bytes;
  changes_.push_back(std::move(request));
}

// Ends a request's stay in the queue. A get without an answer has missed.
void SegmentStore::finish(Request& request) {
  if (request.kind == Request::Kind::Get && request.on_done) {
    counters_.misses.Increment();
    answer(request, std::nullopt);
  }
  const std::lock_guard lock(mutex_);
  --waiting_;
  waiting_bytes_ -= request.bytes;
}

// Answers hits alone. What is damaged or expired stays until it is replaced or evicted.
Result<void> SegmentStore::look_up(Request& request) {
  for (const auto& sweep : sweeps_)
    if (request.key.starts_with(sweep.prefix)) return {};
  auto found = file_->get(request.key, wall_time());
  if (!found) return std::unexpected(found.error());
  if (found->outcome == SegmentFile::Outcome::Hit) {
    counters_.hits.Increment();
    answer(request, std::move(found->object));
  } else if (found->outcome == SegmentFile::Outcome::Corrupt) {
    counters_.corrupt.Increment();
  }
  return {};
}

// One transaction's worth of what waits. Without a file it is dropped.
void SegmentStore::write_some() {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < changes_.size() && bytes < options_.transaction_bytes)
    bytes += changes_[count++].bytes;
  const std::span batch(changes_.data(), count);
  auto written = write(batch);
  if (!written && written.error().code == Errc::Limit) {
    make_room(written.error());
    written = write(batch);
  }
  if (!written && file_ != nullptr) give_up(written.error());
  for (Request& request : batch) {
    if (request.kind != Request::Kind::Get) {
      changing_.erase(changing_.find(request.key));
      if (!written) counters_.dropped.Increment();
    }
    finish(request);
  }
  change_bytes_ -= bytes;
  changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(count));
  write_at_ = Clock::now() + options_.gather;
  write_now_ = std::ranges::any_of(
      changes_, [](const Request& request) { return request.kind == Request::Kind::Get; });
  show_usage();
}

Result<void> SegmentStore::write(std::span<Request> batch) {
  if (file_ == nullptr) return fail(Errc::Unavailable, "no disk");
  return in_transaction([&]() -> Result<void> {
    for (Request& request : batch) {
      Result<void> done;
      switch (request.kind) {
        case Request::Kind::Put: done = file_->put(request.key, request.object, wall_time()); break;
        case Request::Kind::Erase: done = file_->erase(request.key); break;
        case Request::Kind::Get:
          if (request.on_done) done = look_up(request);  // not answered by a first attempt
          break;
        case Request::Kind::ErasePrefix: break;  // never among them
      }
      if (!done) return done;
    }
    return {};
  });
}

void SegmentStore::sweep_some() {
  bool all = false;
  auto done = in_transaction([&]() -> Result<void> {
    auto step = file_->go_on(sweeps_.front(), kSweptAtOnce);
    if (!step) return std::unexpected(step.error());
    all = *step;
    return {};
  });
  if (!done && done.error().code == Errc::Limit)
    make_room(done.error());
  else if (!done)
    give_up(done.error());
  else if (all)
    sweeps_.pop_front();
  show_usage();
}

template <class Work>
Result<void> SegmentStore::in_transaction(Work work) {
  auto done = file_->begin();
  if (done) done = work();
  if (done) return file_->commit();
  file_->abort();
  return done;
}

// The bound gives way to what fits. If even that needs more room than there is, all is forgotten.
void SegmentStore::make_room(const Error& why) {
  log::warn("no room for the cache on disk",
            {{"folder", options_.folder}, {"error", why.text}, {"bytes", file_->usage().bytes}});
  counters_.errors.Increment();
  Result<void> done;
  // What a transaction frees is for the next but one.
  for (int step = 0; done && step < 2; ++step) {
    const std::uint64_t used = file_->usage().bytes;
    file_->lower_limit(used - used / kShareToFree);
    done = in_transaction([&] { return file_->evict_to(file_->limit()); });
  }
  if (done) return;
  const std::uint64_t limit = file_->limit();
  close();
  open();
  if (file_ != nullptr) file_->lower_limit(limit);
}

void SegmentStore::open() {
  auto file = SegmentFile::open(options_.folder, options_.size);
  if (file) {
    file_ = std::move(*file);
    log::info("cache on disk", {{"folder", options_.folder},
                                {"entries", file_->usage().entries},
                                {"bytes", file_->usage().bytes}});
    if (!file_->replaced().empty()) {
      counters_.errors.Increment();
      log::warn("the cache's file was not usable, and is begun anew",
                {{"folder", options_.folder}, {"error", file_->replaced()}});
    }
  } else {
    counters_.errors.Increment();
    open_again_ = Clock::now() + options_.retry;
    log::warn("no cache on disk", {{"error", file.error().text}});
  }
  show_usage();
}

// Discards the file: it has failed, or is in the way.
void SegmentStore::close() {
  SegmentFile::discard(options_.folder);
  if (file_->lost()) ++lost_files_;
  file_.reset();
  sweeps_.clear();
}

void SegmentStore::give_up(const Error& why) {
  log::error("the cache's disk fails", {{"folder", options_.folder}, {"error", why.text}});
  counters_.errors.Increment();
  close();
  open_again_ =
      lost_files_ < kMaxLostFiles ? Clock::now() + options_.retry : Clock::time_point::max();
  show_usage();
}

void SegmentStore::show_usage() {
  const auto usage = file_ != nullptr ? file_->usage() : SegmentFile::Usage{};
  counters_.up.Set(file_ != nullptr ? 1 : 0);
  counters_.entries.Set(static_cast<double>(usage.entries));
  counters_.bytes.Set(static_cast<double>(usage.bytes));
  if (file_ != nullptr) counters_.evicted.Increment(static_cast<double>(file_->take_evicted()));
}

}  // namespace weir
