#include "proxy/webrtc_directory.h"

#include <set>

#include "common/log.h"

namespace weir {

namespace {

constexpr milliseconds kLook{1000};

std::string name_of(std::string_view username) { return "webrtc:" + std::string(username); }
std::string name_of_id(std::string_view id) { return "webrtc-session:" + std::string(id); }
std::string name_of(const Address& address) { return "webrtc-address:" + address.text(); }

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
    sweep(loop.now());
    if (store_ == nullptr || loop.now() - refreshed < kRefresh) continue;
    refreshed = loop.now();
    co_await write(in_use());
  }
}

// Forgets what has ended.
void WebrtcDirectory::sweep(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto is_over = [&](const auto& each) {
    WebrtcEntry& entry = *each.second;
    if (now - entry.heard() > kSilence) entry.ended = true;
    return entry.ended.load();
  };
  std::erase_if(entries_, is_over);
  std::erase_if(by_id_, is_over);
  std::erase_if(addresses_, is_over);
  std::erase_if(missing_, [&](const auto& each) { return now >= each.second; });
}

std::vector<WebrtcDirectory::Written> WebrtcDirectory::in_use() const {
  std::vector<Written> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : by_id_)
    if (entry->paths > 0) add_written(entry->session, all);
  for (const auto& [name, entry] : addresses_)
    all.push_back({name, entry->session.checks.front().username});
  return all;
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
  WebrtcEntryPtr& newest = by_id_[entry->session.id];
  if (newest) entry->held = std::move(newest->held);
  newest = entry;
  return {};
}

void WebrtcDirectory::hold(const std::string& id, std::shared_ptr<void> what) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) std::swap(found->second->held, what);
}

Task<Result<void>> WebrtcDirectory::announce(Loop& loop, WebrtcSession session) {
  auto added = add(session, loop.now());
  if (!added || store_ == nullptr) co_return std::move(added);
  std::vector<Written> values;
  add_written(session, values);
  co_await write(std::move(values));
  co_return Result<void>{};
}

void WebrtcDirectory::add_written(const WebrtcSession& session, std::vector<Written>& all) {
  const std::string value = encode(session);
  all.push_back({name_of_id(session.id), value});
  for (const auto& check : session.checks) all.push_back({name_of(check.username), value});
}

Task<void> WebrtcDirectory::write(std::vector<Written> values) {
  static log::Limited trouble{std::chrono::seconds(10)};
  for (auto& each : values) {
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

Task<std::optional<WebrtcSession>> WebrtcDirectory::session(std::string id) {
  std::optional<WebrtcSession> known;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    if (found != by_id_.end() && found->second->ended) co_return known;
    if (found != by_id_.end()) known = found->second->session;
  }
  if (known || store_ == nullptr || id.empty()) co_return known;
  auto found = co_await store_->get(name_of_id(id));
  if (!found || !*found) co_return known;
  auto session = decode_webrtc_session(**found);
  if (session) known = std::move(*session);
  co_return known;
}

bool WebrtcDirectory::may_look_up(std::string_view username, Clock::time_point now) {
  unknown_.Increment();
  return !username.empty() && may_ask(name_of(username), now);
}

bool WebrtcDirectory::may_look_up(const Address& address, Clock::time_point now) {
  return store_ != nullptr && may_ask(name_of(address), now);
}

bool WebrtcDirectory::may_ask(std::string name, Clock::time_point now) {
  if (store_ == nullptr) return false;
  const std::lock_guard lock(mutex_);
  const auto known = missing_.find(name);
  if (known != missing_.end() && now < known->second) return false;
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    look_ups_ = 0;
  }
  if (look_ups_ >= kLookUps || missing_.size() >= kMaxMissing) return false;
  ++look_ups_;
  // Also while the question is under way: one is enough.
  missing_.insert_or_assign(std::move(name), now + kForget);
  return true;
}

Task<WebrtcEntryPtr> WebrtcDirectory::look_up(Loop& loop, std::string username) {
  auto found = co_await store_->get(name_of(username));
  if (auto known = find(username)) co_return known;  // while we asked
  if (!found || !*found) co_return nullptr;
  auto session = decode_webrtc_session(**found);
  if (!session) {
    log::warn("a WebRTC session in the store cannot be read", {{"error", session.error().text}});
    co_return nullptr;
  }
  const std::string stream = session->stream;
  if (session->check_of(username) == nullptr) co_return nullptr;
  auto added = add(std::move(*session), loop.now());
  if (!added) co_return nullptr;
  take_overs_.Increment();
  log::info("WebRTC session taken over", {{"stream", stream}});
  co_return find(username);
}

Task<WebrtcEntryPtr> WebrtcDirectory::look_up(Loop& loop, Address address) {
  auto username = co_await store_->get(name_of(address));
  if (!username || !*username) co_return nullptr;
  if (auto known = find(**username)) co_return known;
  std::string name = std::move(**username);
  auto entry = co_await look_up(loop, std::move(name));
  co_return entry;
}

Task<void> WebrtcDirectory::bound(Address address, WebrtcEntryPtr entry) {
  if (store_ == nullptr) co_return;
  std::vector<Written> values{{name_of(address), entry->session.checks.front().username}};
  {
    const std::lock_guard lock(mutex_);
    addresses_[values.front().name] = std::move(entry);
  }
  co_await write(std::move(values));
}

void WebrtcDirectory::unbound(const Address& address) {
  if (store_ == nullptr) return;
  const std::lock_guard lock(mutex_);
  addresses_.erase(name_of(address));
}

Task<void> WebrtcDirectory::end(std::string id) {
  std::set<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    // A restart of ICE gave the session other names; the old ones end too.
    for (const auto& [username, entry] : entries_) {
      if (entry->session.id != id) continue;
      entry->ended = true;
      names.insert(name_of(username));
    }
    for (const auto& [name, entry] : addresses_)
      if (entry->session.id == id) names.insert(name);
  }
  if (store_ == nullptr || id.empty()) co_return;
  if (names.empty()) {
    auto known = co_await session(id);  // another proxy made it
    if (!known) co_return;
    for (const auto& check : known->checks) names.insert(name_of(check.username));
  }
  names.insert(name_of_id(id));
  for (const auto& name : names) {
    auto removed = co_await store_->remove(name);
    if (!removed) co_return;
  }
}

std::size_t WebrtcDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return by_id_.size();
}

}  // namespace weir
