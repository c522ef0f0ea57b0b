#include "proxy/state_keeper.h"

#include "common/log.h"
#include "common/signals_blocked.h"

namespace weir {

StateKeeper::StateKeeper(std::string folder, Metrics& metrics, std::uint64_t size)
    : folder_(std::move(folder)) {
  auto file = StateFile::open(folder_, size);
  if (file) {
    auto loaded = (*file)->load();
    if (loaded) {
      restored_ = std::move(*loaded);
      file_ = std::move(*file);
      keeps_ = true;
    } else {
      file = std::unexpected(loaded.error());
    }
  }
  shown_ = metrics.sample(Metrics::Type::Gauge, "weir_state_kept",
                          "1 while routes and origins are kept in state.path.", {},
                          [this] { return keeps_ ? 1.0 : 0.0; });
  if (!file) {
    log::warn("state.path cannot be used, nothing will survive a restart",
              {{"path", folder_}, {"error", file.error().text}});
    return;
  }
  log::info("state restored", {{"path", folder_},
                               {"origins", restored_.origins.size()},
                               {"routes", restored_.routes.size()},
                               {"drained", restored_.drained.size()},
                               {"damaged", restored_.damaged}});
  const SignalsBlocked in_new_thread;
  thread_ = std::thread([this] { run(); });
}

StateKeeper::~StateKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void StateKeeper::save(std::vector<SavedChange> changes) {
  if (changes.empty() || !keeps_) return;
  {
    const std::lock_guard lock(mutex_);
    for (SavedChange& change : changes) {
      auto name = std::pair{change.kind, change.name};
      waiting_.insert_or_assign(std::move(name), std::move(change));
    }
  }
  wake_.notify_one();
}

void StateKeeper::run() {
  while (true) {
    Waiting taken;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      taken.swap(waiting_);
    }
    if (taken.size() > kMaxWaiting) {
      give_up({Errc::Limit, "the disk is too slow"});
      return;
    }
    std::vector<SavedChange> changes;
    changes.reserve(taken.size());
    for (auto& [name, change] : taken) changes.push_back(std::move(change));
    auto written = file_->write(changes, wall_now());
    if (written) continue;
    give_up(written.error());
    return;
  }
}

void StateKeeper::give_up(const Error& why) {
  StateFile::discard(folder_);
  keeps_ = false;
  file_.reset();
  log::warn("state.path is given up, nothing will survive a restart",
            {{"path", folder_}, {"error", why.text}});
  const std::lock_guard lock(mutex_);
  waiting_.clear();
}

}  // namespace weir
