#include "cache/http_store.h"

#include <algorithm>

namespace weir {

namespace {

constexpr std::size_t kEntryOverhead = 256;
constexpr std::size_t kMaxSpared = 256;  // looked at in vain by one that wants room

bool in_use(const HttpObjectRef& object) { return object.use_count() > 1; }

bool same_fields(const VaryValues& a, const VaryValues& b) {
  return std::ranges::equal(a, b, [](const http::Header& one, const http::Header& other) {
    return http::same_ignoring_case(one.name, other.name);
  });
}

}  // namespace

HttpStore::Shard& HttpStore::shard_of(const std::string& key) {
  return shards_[std::hash<std::string>()(key) % kShards];
}

HttpStore::Found HttpStore::find(const std::string& key, const http::Headers& request) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(key);
  if (entry == shard.entries.end()) return {};
  HttpQueue::used(entry->second.node);
  for (const auto& variant : entry->second.variants)
    if (variant->vary().empty() || matches(variant->vary(), request)) return {variant};
  return {.object = nullptr, .other = true};
}

std::optional<HttpStore::Joined> HttpStore::join(const std::string& key,
                                                 const http::Headers& request,
                                                 Clock::time_point now) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto is_private = shard.is_private.find(key);
  if (is_private != shard.is_private.end()) {
    if (now < is_private->second) return std::nullopt;
    shard.is_private.erase(is_private);
  }
  auto& fills = shard.fills[key];
  for (const auto& fill : fills)
    if (fill->valid() && fill->serves(request)) return Joined{fill, false};
  // What is asked for depends on what the last response depended on, as far as anybody knows.
  VaryValues selects;
  const auto entry = shard.entries.find(key);
  if (entry != shard.entries.end()) {
    http::Headers names;
    for (const http::Header& field : entry->second.variants.front()->vary())
      names.add("Vary", field.name);
    selects = vary_values(names, request);
  }
  fills.push_back(std::make_shared<HttpFill>(key, std::move(selects)));
  fills_.fetch_add(1, std::memory_order_relaxed);
  return Joined{fills.back(), true};
}

void HttpStore::end(const HttpFillRef& fill) {
  Shard& shard = shard_of(fill->key());
  const std::lock_guard lock(shard.mutex);
  const auto fills = shard.fills.find(fill->key());
  if (fills == shard.fills.end() || std::erase(fills->second, fill) == 0) return;
  fills_.fetch_sub(1, std::memory_order_relaxed);
  if (fills->second.empty()) shard.fills.erase(fills);
}

void HttpStore::note_private(const std::string& key, Clock::time_point until) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  if (shard.is_private.size() >= kMaxPrivate) shard.is_private.clear();
  shard.is_private[key] = until;
}

void HttpStore::recount(Shard& shard, Entry& entry) {
  std::size_t cost = kEntryOverhead + 2 * entry.node.key->size();
  for (const auto& variant : entry.variants) cost += variant->memory();
  shard.queue.set_cost(entry.node, cost);
}

void HttpStore::put(const HttpFill& fill, const HttpObjectRef& object) {
  Shard& shard = shard_of(fill.key());
  Removed superseded;
  const std::lock_guard lock(shard.mutex);
  if (!fill.valid()) return;
  shard.is_private.erase(fill.key());
  const auto [entry, is_new] = shard.entries.try_emplace(fill.key());
  auto& [node, variants] = entry->second;
  if (is_new) {
    node.key = &entry->first;
    shard.queue.add(node);
  }
  const auto outdated = std::ranges::stable_partition(variants, [&](const HttpObjectRef& old) {
    // A response that varies otherwise than those before says how it is from now on.
    return same_fields(old->vary(), object->vary()) && old->vary() != object->vary();
  });
  superseded.assign(outdated.begin(), outdated.end());
  variants.erase(outdated.begin(), outdated.end());
  if (variants.size() >= kMaxVariants) {
    superseded.push_back(std::move(variants.back()));
    variants.pop_back();
  }
  variants.insert(variants.begin(), object);
  objects_.fetch_add(1, std::memory_order_relaxed);
  objects_.fetch_sub(superseded.size(), std::memory_order_relaxed);
  recount(shard, entry->second);
}

bool HttpStore::completed(const std::string& key, const HttpObjectRef& object) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(key);
  if (entry == shard.entries.end()) return false;
  const auto& variants = entry->second.variants;
  if (std::ranges::find(variants, object) == variants.end()) return false;
  recount(shard, entry->second);
  return true;
}

HttpStore::Removed HttpStore::erase(Shard& shard, Entries::iterator entry) {
  Removed removed = std::move(entry->second.variants);
  objects_.fetch_sub(removed.size(), std::memory_order_relaxed);
  shard.entries.erase(entry);
  return removed;
}

void HttpStore::drop(const std::string& key, const HttpObjectRef& object) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(key);
  if (entry == shard.entries.end()) return;
  auto& variants = entry->second.variants;
  if (std::erase(variants, object) == 0) return;
  objects_.fetch_sub(1, std::memory_order_relaxed);
  if (!variants.empty()) return recount(shard, entry->second);
  shard.queue.remove(entry->second.node);
  shard.entries.erase(entry);
}

bool HttpStore::purge(const std::string& key) {
  Shard& shard = shard_of(key);
  Removed removed;
  const std::lock_guard lock(shard.mutex);
  const auto fills = shard.fills.find(key);
  if (fills != shard.fills.end())
    for (const auto& fill : fills->second) fill->invalidate();
  const auto entry = shard.entries.find(key);
  if (entry == shard.entries.end()) return false;
  shard.queue.remove(entry->second.node);
  removed = erase(shard, entry);
  return true;
}

std::size_t HttpStore::purge_prefix(std::string_view prefix) {
  std::size_t count = 0;
  for (Shard& shard : shards_) {
    Removed removed;
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, fills] : shard.fills)
      if (key.starts_with(prefix))
        for (const auto& fill : fills) fill->invalidate();
    for (auto entry = shard.entries.begin(); entry != shard.entries.end();) {
      const auto next = std::next(entry);
      if (entry->first.starts_with(prefix)) {
        shard.queue.remove(entry->second.node);
        std::ranges::move(erase(shard, entry), std::back_inserter(removed));
        ++count;
      }
      entry = next;
    }
  }
  return count;
}

bool HttpStore::make_room(std::size_t bytes) {
  std::size_t in_vain = 0;  // shards asked one after the other
  std::size_t spared = 0;
  while (memory_->bytes() + bytes > limit_) {
    if (in_vain == 2 * kShards || spared == kMaxSpared) return false;
    // A shard without newcomers keeps what it has as long as another has some.
    const auto from = in_vain < kShards ? HttpQueue::From::Newcomers : HttpQueue::From::All;
    Shard& shard = shards_[next_victim_.fetch_add(1, std::memory_order_relaxed) % kShards];
    Removed removed;
    const std::lock_guard lock(shard.mutex);
    HttpQueue::Node* victim = shard.queue.evict(from);
    if (victim == nullptr) {
      ++in_vain;
      continue;
    }
    in_vain = 0;
    const auto entry = shard.entries.find(*victim->key);
    // What is being sent or fetched would go on to take its memory.
    if (std::ranges::any_of(entry->second.variants, in_use)) {
      shard.queue.spare(*victim);
      ++spared;
      continue;
    }
    removed = erase(shard, entry);
    evictions_.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace weir
