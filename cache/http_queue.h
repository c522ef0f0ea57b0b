// cache/http_queue.h
// Which entry of a cache goes first: S3-FIFO (Yang et al., SOSP 2023).
//
//     new ──► small (a tenth) ──used again──► main ──unused for a round──► gone
//                  └──not used again──► gone, remembered as a ghost ──comes back──► main
//
// Why not LRU: whoever walks through an archive once would empty it, and every hit would have to
// move an entry under the lock. Here a hit is one flag, and what is asked for once only passes
// through a tenth of the memory.
//
// Threading: the owner's lock. Bounds: a ghost is a hash, kMaxGhosts of them.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_set>

namespace weir {

class HttpQueue {
 public:
  static constexpr std::size_t kMaxGhosts = 4096;

  // What the queue needs to know of an entry; it is part of the entry and does not move.
  struct Node {
    const std::string* key = nullptr;
    std::size_t cost = 0;
    std::uint8_t uses = 0;  // since it came or was last looked at; at most kMaxUses
    bool in_main = false;
    std::list<Node*>::iterator at = {};
  };

  static void used(Node& node) {
    if (node.uses < kMaxUses) ++node.uses;
  }
  void add(Node& node);
  void remove(Node& node);
  void set_cost(Node& node, std::size_t cost);

  // The one to evict next, out of the queue already; null when there is none. Newcomers: only one of
  // the small queue, if that takes more than its share.
  enum class From : std::uint8_t { Newcomers, All };
  Node* evict(From from = From::All);
  // Spares the one that evict() has just given.
  void spare(Node& node) { push_main(node); }

  std::size_t cost() const { return small_cost_ + main_cost_; }

 private:
  static constexpr std::uint8_t kMaxUses = 3;
  static constexpr std::size_t kSmallShare = 10;

  void push_main(Node& node);
  void remember(const Node& node);

  std::list<Node*> small_;  // the newest in front
  std::list<Node*> main_;
  std::size_t small_cost_ = 0;
  std::size_t main_cost_ = 0;
  std::deque<std::size_t> ghosts_;  // hashes of keys
  std::unordered_multiset<std::size_t> ghost_set_;
};

}  // namespace weir
