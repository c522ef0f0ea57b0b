#include "proxy/route_store.h"

#include <spdlog/fmt/fmt.h>

#include <utility>
#include <vector>

#include "common/check.h"

namespace weir {

RouteStore::RouteStore(RouteStoreOptions options) : options_(options) {}

std::optional<StoredRoute> RouteStore::find(const std::string& key, TimePoint now) const {
  const auto found = routes_.find(key);
  if (found == routes_.end() || expired(found->second, now)) return std::nullopt;
  return found->second.route;
}

Result<void> RouteStore::set(const std::string& key, const std::string& upstream,
                             std::uint64_t generation, TimePoint now) {
  erase(key);
  if (routes_.size() >= options_.max) {
    if (idle_.empty())
      return fail(Errc::Limit, fmt::format("all {} routes are in use", routes_.size()));
    erase(std::string{idle_.front()});
  }
  const auto [at, is_new] = routes_.try_emplace(key, Node{{upstream, generation, now}, {}});
  INVARIANT(is_new, key);
  changed(key);
  at->second.idle = idle_.insert(idle_.end(), at->first);
  by_upstream_[upstream].insert(at->first);
  return {};
}

void RouteStore::touch(const std::string& key, TimePoint now) {
  const auto found = routes_.find(key);
  if (found == routes_.end()) return;
  Node& node = found->second;
  node.route.last_use = now;
  if (node.idle) idle_.splice(idle_.end(), idle_, *node.idle);
}

void RouteStore::hold(const std::string& key, const std::string& upstream) {
  const auto found = routes_.find(key);
  if (found == routes_.end() || found->second.route.upstream != upstream) return;
  if (!found->second.idle) return;
  idle_.erase(*found->second.idle);
  found->second.idle.reset();
}

void RouteStore::release(const std::string& key, const std::string& upstream, TimePoint now) {
  const auto found = routes_.find(key);
  if (found == routes_.end() || found->second.route.upstream != upstream) return;
  if (found->second.idle) return;
  found->second.idle = idle_.insert(idle_.end(), found->first);
  found->second.route.last_use = now;
}

void RouteStore::erase(const std::string& key) {
  const auto found = routes_.find(key);
  if (found != routes_.end()) erase(found);
}

void RouteStore::erase(Routes::iterator at) {
  if (at->second.idle) idle_.erase(*at->second.idle);
  const auto of_upstream = by_upstream_.find(at->second.route.upstream);
  INVARIANT(of_upstream != by_upstream_.end());
  of_upstream->second.erase(at->first);
  if (of_upstream->second.empty()) by_upstream_.erase(of_upstream);
  changed(at->first);
  routes_.erase(at);
}

std::vector<std::string> RouteStore::keys() const {
  std::vector<std::string> keys;
  keys.reserve(routes_.size());
  for (const auto& [key, node] : routes_) keys.push_back(key);
  return keys;
}

std::size_t RouteStore::erase_upstream(const std::string& upstream) {
  const auto found = by_upstream_.find(upstream);
  if (found == by_upstream_.end()) return 0;
  const auto keys = std::move(found->second);
  by_upstream_.erase(found);
  for (const std::string_view key : keys) {
    const auto at = routes_.find(std::string{key});
    INVARIANT(at != routes_.end(), key);
    changed(at->first);
    if (at->second.idle) idle_.erase(*at->second.idle);
    routes_.erase(at);
  }
  return keys.size();
}

void RouteStore::expire(TimePoint now) {
  while (!idle_.empty()) {
    const auto oldest = routes_.find(std::string{idle_.front()});
    INVARIANT(oldest != routes_.end(), idle_.front());
    if (!expired(oldest->second, now)) return;
    erase(oldest);
  }
}

std::size_t RouteStore::count(const std::string& upstream) const {
  const auto found = by_upstream_.find(upstream);
  return found == by_upstream_.end() ? 0 : found->second.size();
}

bool RouteStore::expired(const Node& node, TimePoint now) const {
  return node.idle && now - node.route.last_use >= options_.lifetime;
}

}  // namespace weir
