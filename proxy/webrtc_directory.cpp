#include "proxy/webrtc_directory.h"

#include "common/log.h"

namespace weir {

namespace {

constexpr milliseconds kLook{1000};

std::string name_of(std::string_view username) { return "webrtc:" + std::string(username); }

}  // namespace

WebrtcDirectory::WebrtcDirectory(std::size_t max_sessions, WebrtcStore* store, Metrics& metrics)
    : max_sessions_(max_sessions),
      store_(store),
      take_overs_(metrics.counter("weir_webrtc_takeovers_total",
                                  "WebRTC sessions of another proxy that this one goes on with.")),
      unknown_(metrics.counter("weir_webrtc_unknown_total",
                               "STUN requests of sessions that no proxy knows.")),
      sessions_(metrics.sample(Metrics::Type::Gauge, "weir_webrtc_sessions",
                               "WebRTC sessions known here.", {},
                               [this] { return static_cast<double>(size()); })) {}

Task<void> WebrtcDirectory::run(Loop& loop) {
  auto refreshed = loop.now();
  while (true) {
    auto woken = co_await weir::sleep(loop, kLook);
    if (!woken) co_return;
    const auto live = sweep(loop.now());
    if (store_ == nullptr || loop.now() - refreshed < kRefresh) continue;
    refreshed = loop.now();
    for (const auto& entry : live) co_await write(entry->session);
  }
}

// Forgets what has ended; returns what is in use here.
std::vector<WebrtcEntryPtr> WebrtcDirectory::sweep(Clock::time_point now) {
  std::vector<WebrtcEntryPtr> live;
  const std::lock_guard lock(mutex_);
  const auto is_over = [&](const auto& each) {
    WebrtcEntry& entry = *each.second;
    if (now - entry.heard() > kSilence) entry.ended = true;
    return entry.ended.load();
  };
  std::erase_if(entries_, is_over);
  std::erase_if(by_id_, is_over);
  std::erase_if(missing_, [&](const auto& each) { return now >= each.second; });
  for (const auto& [id, entry] : by_id_)
    if (entry->paths > 0) live.push_back(entry);
  return live;
}

Result<void> WebrtcDirectory::add(WebrtcSession session, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto same = by_id_.find(session.id);
  const WebrtcEntryPtr before = same != by_id_.end() ? same->second : nullptr;
  if (before == nullptr && by_id_.size() >= max_sessions_)
    return fail(Errc::Limit, "as many WebRTC sessions as webrtc.max_sessions");
  // A restart of ICE names new credentials and no directions.
  if (before != nullptr) session.publishes = before->session.publishes;
  auto entry = std::make_shared<WebrtcEntry>(std::move(session), now);
  if (before != nullptr) entry->client = before->client;
  for (const auto& check : entry->session.checks) entries_[check.username] = entry;
  by_id_[entry->session.id] = entry;
  return {};
}

Task<Result<void>> WebrtcDirectory::announce(Loop& loop, WebrtcSession session) {
  auto added = add(session, loop.now());
  if (!added) co_return std::move(added);
  co_await write(std::move(session));
  co_return Result<void>{};
}

std::vector<WebrtcDirectory::Written> WebrtcDirectory::written(const WebrtcSession& session) const {
  std::vector<Written> all;
  if (store_ == nullptr) return all;
  const std::string value = encode(session);
  for (const auto& check : session.checks) all.push_back({name_of(check.username), value});
  return all;
}

Task<void> WebrtcDirectory::write(WebrtcSession session) {
  static log::Limited trouble{std::chrono::seconds(10)};
  for (auto& each : written(session)) {
    auto put = co_await store_->put(std::move(each.name), std::move(each.value), kLifetime);
    if (put) continue;
    trouble.write(log::Level::Warn, "other proxies cannot be told of a WebRTC session",
                  {{"error", put.error().text}});
    co_return;
  }
}

WebrtcEntryPtr WebrtcDirectory::find(std::string_view username) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(username);
  return found == entries_.end() || found->second->ended ? nullptr : found->second;
}

std::vector<Address> WebrtcDirectory::media_of(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? std::vector<Address>{} : found->second->session.media;
}

bool WebrtcDirectory::may_look_up(std::string_view username, Clock::time_point now) {
  unknown_.Increment();
  if (store_ == nullptr || username.empty()) return false;
  const std::lock_guard lock(mutex_);
  const auto known = missing_.find(username);
  if (known != missing_.end() && now < known->second) return false;
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    look_ups_ = 0;
  }
  if (look_ups_ >= kLookUps || missing_.size() >= kMaxMissing) return false;
  ++look_ups_;
  // Also while the question is under way: one is enough.
  missing_.insert_or_assign(std::string(username), now + kForget);
  return true;
}

Task<WebrtcEntryPtr> WebrtcDirectory::look_up(Loop& loop, std::string username) {
  auto found = co_await store_->get(name_of(username));
  if (!found || !*found) co_return nullptr;
  auto session = decode_webrtc_session(**found);
  if (!session) {
    log::warn("a WebRTC session in the store cannot be read", {{"error", session.error().text}});
    co_return nullptr;
  }
  const std::string stream = session->stream;
  if (session->password_of(username) == nullptr) co_return nullptr;
  auto added = add(std::move(*session), loop.now());
  if (!added) co_return nullptr;
  take_overs_.Increment();
  log::info("WebRTC session taken over", {{"stream", stream}});
  co_return find(username);
}

Task<void> WebrtcDirectory::end(std::string id) {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) co_return;
    // A restart of ICE gave the session other names; the old ones end too.
    for (const auto& [username, entry] : entries_) {
      if (entry->session.id != id) continue;
      entry->ended = true;
      names.push_back(name_of(username));
    }
  }
  if (store_ == nullptr) co_return;
  for (auto& name : names) {
    auto removed = co_await store_->remove(std::move(name));
    if (!removed) co_return;
  }
}

std::size_t WebrtcDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return by_id_.size();
}

}  // namespace weir
