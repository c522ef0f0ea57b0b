#include "cache/http_queue.h"

#include <functional>

namespace weir {

namespace {
std::size_t hash_of(const HttpQueue::Node& node) { return std::hash<std::string>()(*node.key); }
}  // namespace

void HttpQueue::add(Node& node) {
  if (ghost_set_.contains(hash_of(node))) {
    push_main(node);
    return;
  }
  node.in_main = false;
  node.at = small_.insert(small_.begin(), &node);
  small_cost_ += node.cost;
}

void HttpQueue::push_main(Node& node) {
  node.in_main = true;
  node.at = main_.insert(main_.begin(), &node);
  main_cost_ += node.cost;
}

void HttpQueue::remove(Node& node) {
  (node.in_main ? main_ : small_).erase(node.at);
  (node.in_main ? main_cost_ : small_cost_) -= node.cost;
}

void HttpQueue::set_cost(Node& node, std::size_t cost) {
  std::size_t& of_queue = node.in_main ? main_cost_ : small_cost_;
  of_queue = of_queue - node.cost + cost;
  node.cost = cost;
}

HttpQueue::Node* HttpQueue::evict(From from) {
  while (!small_.empty() || !main_.empty()) {
    const bool from_small =
        main_.empty() || (!small_.empty() && small_cost_ * kSmallShare >= cost());
    if (!from_small && from == From::Newcomers) return nullptr;
    Node& oldest = *(from_small ? small_ : main_).back();
    remove(oldest);
    if (oldest.uses == 0) {
      if (from_small) remember(oldest);
      return &oldest;
    }
    // A node leaves the small queue with a clean record, and pays for each round in the main one.
    oldest.uses = from_small ? 0 : static_cast<std::uint8_t>(oldest.uses - 1);
    push_main(oldest);
  }
  return nullptr;
}

void HttpQueue::remember(const Node& node) {
  const std::size_t hash = hash_of(node);
  ghosts_.push_back(hash);
  ghost_set_.insert(hash);
  if (ghosts_.size() <= kMaxGhosts) return;
  ghost_set_.erase(ghost_set_.find(ghosts_.front()));
  ghosts_.pop_front();
}

}  // namespace weir
