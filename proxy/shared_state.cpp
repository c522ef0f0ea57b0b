#include "proxy/shared_state.h"

#include <algorithm>

#include "common/log.h"

namespace weir {

SharedState::SharedState(Resolver& resolver, SharedStateOptions options, SharedView& view,
                         Metrics& metrics)
    : loop_(resolver.loop()),
      options_(std::move(options)),
      view_(view),
      client_(resolver, options_.server),
      store_(loop_, client_, options_.store, metrics),
      subscriber_(resolver, options_.server, store_.channel(),
                  {.on_message = [this](std::string_view hint) { heard(hint); },
                   .on_subscribed = [this] { missed(); }}),
      hinted_(loop_),
      scan_wanted_(loop_),
      up_(metrics.gauge("weir_redis_up", "Whether Redis answers.")),
      rewritten_(metrics.counter("weir_redis_routes_rewritten_total",
                                 "Routes of live sessions that Redis had lost.")) {}

Task<void> SharedState::run() {
  Child connection(loop_);
  Child subscription(loop_);
  Child scans(loop_);
  Child hints(loop_);
  connection.start(client_.run());
  subscription.start(subscriber_.run());
  scans.start(follow_scan());
  hints.start(follow_hints());
  co_await keep_up();
  co_await hints.join();
  co_await scans.join();
  co_await subscription.join();
  co_await connection.join();
}

// ------------------------------------------------------------------- what the others did

// Messages may be lost, values may come back from a replica: what is there is looked through again
// and again. At once when something was missed, in small pieces otherwise.
Task<void> SharedState::follow_scan() {
  while (!loop_.cancelled()) {
    const bool hurry = missed_ && up();
    if (hurry) missed_ = false;
    bool whole = false;
    if (up()) whole = co_await scan(hurry);
    if (hurry && !whole) missed_ = true;
    if (whole && missed_) continue;
    auto waited = co_await scan_wanted_.wait(loop_.in(options_.rescan));
    if (!waited && waited.error().code == Errc::Cancelled) co_return;
  }
}

Task<bool> SharedState::scan(bool hurry) {
  std::string cursor = "0";
  do {
    auto page = co_await store_.scan(cursor);
    if (!page) co_return false;
    cursor = std::move(page->cursor);
    while (!page->keys.empty()) {
      std::vector<std::string> keys;
      std::vector<SharedKind> kinds;
      while (!page->keys.empty() && keys.size() < SharedStore::kBatch) {
        const auto kind = kind_of_key(options_.store.prefix, page->keys.back());
        if (kind && options_.follow.contains(*kind)) {
          keys.push_back(std::move(page->keys.back()));
          kinds.push_back(*kind);
        }
        page->keys.pop_back();
      }
      auto found = co_await store_.read(std::move(keys));
      if (!found) co_return false;
      for (std::size_t i = 0; i < kinds.size(); ++i) tell(kinds[i], (*found)[i]);
    }
    if (hurry || cursor == "0") continue;
    auto slept = co_await sleep(loop_, options_.scan_pause);
    if (!slept) co_return false;
  } while (cursor != "0");
  co_return true;
}

void SharedState::missed() {
  missed_ = true;
  scan_wanted_.notify();
}

void SharedState::heard(std::string_view hint) {
  const auto word = [&hint] {
    const std::string_view first = hint.substr(0, hint.find(' '));
    hint.remove_prefix(std::min(first.size() + 1, hint.size()));
    return first;
  };
  const bool is_gone = word() == SharedStore::kGone;
  const auto kind = shared_kind(word());
  if (!kind || !options_.follow.contains(*kind) || hint.size() > kMaxSharedText) return;
  if (hints_.size() >= kMaxHints) {
    missed();
    return;
  }
  hints_[{*kind, std::string(hint)}] |= is_gone;
  hinted_.notify();
}

Task<void> SharedState::follow_hints() {
  while (!loop_.cancelled()) {
    if (hints_.empty()) {
      auto woken = co_await hinted_.wait(loop_.in(options_.rescan));
      if (!woken) continue;
    }
    std::vector<std::pair<Name, bool>> batch;
    std::vector<std::string> keys;
    while (!hints_.empty() && batch.size() < SharedStore::kBatch) {
      const auto& [name, is_gone] = batch.emplace_back(*hints_.begin());
      keys.push_back(shared_key(options_.store.prefix, name.first, name.second));
      hints_.erase(hints_.begin());
    }
    auto found = co_await store_.read(std::move(keys));
    if (!found) {
      missed();
      continue;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto& [name, is_gone] = batch[i];
      const bool there = tell(name.first, (*found)[i]);
      // What is merely missing was lost, and comes back with the next refresh of whoever uses it.
      if (!there && is_gone) gone(name);
    }
  }
}

// False when nothing was found.
bool SharedState::tell(SharedKind kind, const SharedStore::Found& found) {
  if (const auto* route = std::get_if<SharedRoute>(&found)) {
    view_.route_told(*route);
    return true;
  }
  if (const auto* member = std::get_if<SharedStore::Member>(&found)) {
    told(kind, *member);
    return true;
  }
  return false;
}

void SharedState::told(SharedKind kind, const SharedStore::Member& member) {
  const Name id{kind, member.registration.server};
  const auto heard = loop_.now() - member.age;
  if (const auto known = members_.find(id); known != members_.end()) {
    known->second.registration = member.registration;
    known->second.heard = std::max(known->second.heard, heard);
  } else if (members_.size() < kMaxMembers) {
    members_[id] = {member.registration, heard, {}};
  }
  view_.member_told(kind, member.registration, member.age);
}

void SharedState::gone(const Name& name) {
  if (name.first == SharedKind::Route) {
    view_.route_gone(name.second);
    return;
  }
  members_.erase(name);
  view_.member_gone(name.first, name.second);
}

// ------------------------------------------------------------------ what happens here

void SharedState::announce(SharedKind kind, const Registration& member) {
  const Name id{kind, member.server};
  if (members_.contains(id) || members_.size() < kMaxMembers)
    members_[id] = {member, loop_.now(), loop_.now()};
  if (up()) loop_.spawn(write_member(kind, member));
}

void SharedState::withdraw(SharedKind kind, const std::string& id) {
  members_.erase({kind, id});
  if (up()) loop_.spawn(erase_member(kind, id));
}

Task<void> SharedState::write_member(SharedKind kind, Registration member) {
  auto written = co_await store_.announce(kind, std::move(member));
  if (!written) log::debug("member not shared", {{"error", written.error().text}});
}

Task<void> SharedState::erase_member(SharedKind kind, std::string id) {
  auto erased = co_await store_.withdraw(kind, std::move(id));
  if (!erased) log::debug("member not withdrawn", {{"error", erased.error().text}});
}

Task<void> SharedState::keep_up() {
  while (true) {
    up_.Set(up() ? 1 : 0);
    if (up()) {
      co_await refresh_routes();
      co_await refresh_members();
      forget_silent();
    } else {
      keep_members();
    }
    auto changed = co_await client_.changed(loop_.in(options_.refresh));
    if (changed)
      missed();
    else if (changed.error().code == Errc::Cancelled)
      co_return;
  }
}

Task<void> SharedState::refresh_routes() {
  std::vector<SharedRoute> live = view_.live_routes();
  std::size_t written = 0;
  while (!live.empty()) {
    std::vector<SharedRoute> batch;
    while (!live.empty() && batch.size() < SharedStore::kBatch) {
      batch.push_back(std::move(live.back()));
      live.pop_back();
    }
    auto refreshed = co_await store_.refresh(std::move(batch));
    if (!refreshed) break;
    written += refreshed->written;
    for (const SharedRoute& theirs : refreshed->contested) view_.route_told(theirs);
  }
  if (written == 0) co_return;
  rewritten_.Increment(static_cast<double>(written));
  log::info("routes written again", {{"routes", written}});
}

Task<void> SharedState::refresh_members() {
  const auto oldest = loop_.now() - options_.store.member_lifetime;
  std::vector<SharedStore::Announcement> mine;
  for (const auto& [id, known] : members_) {
    if (known.heard_here <= oldest) continue;
    const auto left = std::chrono::ceil<milliseconds>(known.heard_here - oldest);
    mine.push_back({id.first, known.registration, left});
  }
  while (!mine.empty()) {
    const auto first = mine.end() - std::min(std::ssize(mine), std::ptrdiff_t{SharedStore::kBatch});
    std::vector<SharedStore::Announcement> batch(first, mine.end());
    mine.erase(first, mine.end());
    auto written = co_await store_.announce_missing(std::move(batch));
    if (!written) co_return;
  }
}

void SharedState::keep_members() {
  for (auto& [id, known] : members_) {
    known.heard = loop_.now();
    view_.member_told(id.first, known.registration, milliseconds(0));
  }
}

void SharedState::forget_silent() {
  const auto oldest = loop_.now() - options_.store.member_lifetime;
  std::erase_if(members_, [&](const auto& each) { return each.second.heard <= oldest; });
}

}  // namespace weir
