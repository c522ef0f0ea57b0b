#include "proxy/http_upstream_pool.h"

namespace weir {

std::optional<HttpUpstreamPool::Pooled> HttpUpstreamPool::take(
    std::span<const Endpoint> endpoints) {
  for (const Endpoint& endpoint : endpoints)
    if (auto connection = take_from(endpoint)) return Pooled{std::move(connection), endpoint};
  return std::nullopt;
}

// Null when there is none.
HttpUpstreamPool::Connection HttpUpstreamPool::take_from(const Endpoint& endpoint) {
  const auto found = idle_.find(to_url(endpoint));
  if (found == idle_.end()) return nullptr;
  Connection connection;
  while (connection == nullptr && !found->second.empty()) {
    connection = std::move(found->second.back().connection);
    found->second.pop_back();
    --size_;
    // Anything but silence makes it useless: the end, or an answer that nobody asked for.
    const auto said = connection->socket().try_read(loop_.scratch().first(1));
    if (!said || *said > 0) connection = nullptr;
  }
  if (found->second.empty()) idle_.erase(found);
  return connection;
}

void HttpUpstreamPool::put(const Endpoint& endpoint, Connection connection) {
  if (!connection->reusable() || size_ >= limits_.total) return;
  auto& idle = idle_[to_url(endpoint)];
  if (idle.size() >= limits_.per_endpoint) return;
  idle.push_back({std::move(connection), loop_.now()});
  ++size_;
  if (!armed()) loop_.arm(*this, loop_.in(limits_.idle));
}

void HttpUpstreamPool::expired() {
  for (auto& [endpoint, idle] : idle_) {
    size_ -= std::erase_if(
        idle, [this](const Idle& one) { return one.since + limits_.idle <= loop_.now(); });
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
  if (size_ > 0) loop_.arm(*this, loop_.in(limits_.idle));
}

}  // namespace weir
