// common/io/ask.h
// Questions to all loops from a thread that is none of them: asked of all at once, waited for
// together.
//
// Threading: any thread but a loop's. Bounds: waits for `patience` at most; an answer that comes
// later is dropped.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/error.h"
#include "common/io/loop_group.h"

namespace weir {

// The answers in the order of the loops. `ask` gets its loop, and runs on several loops at the same
// time. Errors: Timeout.
template <class Ask>
auto ask_each(LoopGroup& loops, Ask ask, milliseconds patience)
    -> Result<std::vector<std::invoke_result_t<Ask&, Loop&>>> {
  using Answer = std::invoke_result_t<Ask&, Loop&>;
  struct Round {
    explicit Round(Ask question, std::size_t count)
        : ask(std::move(question)), answers(count), missing(count) {}
    Ask ask;
    std::mutex mutex;
    std::condition_variable complete;
    std::vector<std::optional<Answer>> answers;
    std::size_t missing;
  };
  // Shared with the messages, which may run after the patience has ended.
  auto round = std::make_shared<Round>(std::move(ask), loops.size());
  for (std::size_t i = 0; i < loops.size(); ++i) {
    loops[i].post([round, i, &loop = loops[i]] {
      auto answer = round->ask(loop);
      const std::lock_guard lock(round->mutex);
      round->answers[i].emplace(std::move(answer));
      if (--round->missing == 0) round->complete.notify_one();
    });
  }
  std::unique_lock lock(round->mutex);
  if (!round->complete.wait_for(lock, patience, [&] { return round->missing == 0; }))
    return fail(Errc::Timeout, "a loop does not answer");
  std::vector<Answer> answers;
  answers.reserve(round->answers.size());
  for (auto& answer : round->answers) answers.push_back(std::move(*answer));
  return answers;
}

}  // namespace weir
