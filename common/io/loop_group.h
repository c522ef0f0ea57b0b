// common/io/loop_group.h
// All loops of a process, each on a thread of its own, from start to shutdown.
//
// Threading: the thread that made it, but for answer().
// Bounds: shut_down() and answer() take at most their patience; a loop that hangs keeps one small
// message of each answer().
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/io/loop.h"

namespace weir {

class LoopGroup {
 public:
  explicit LoopGroup(std::size_t count);
  ~LoopGroup();
  LoopGroup(const LoopGroup&) = delete;
  LoopGroup& operator=(const LoopGroup&) = delete;

  std::size_t size() const { return loops_.size(); }
  Loop& operator[](std::size_t index) { return *loops_[index]; }

  void start();
  // Runs `work` on every loop, one after the other, and returns when it has run on all.
  void on_each(const std::function<void(Loop&)>& work);
  // Whether every loop comes round within `patience`. From any thread that is no loop's.
  bool answer(milliseconds patience);
  // Ends all waits, lets sessions unwind, then ends the threads. False when some session did not
  // end in time.
  bool shut_down(milliseconds patience);

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace weir
