#include "cache/object_tier.h"

#include "common/io/wait.h"

namespace weir {

namespace {

// Shared with the tier's answer, which may come after the deadline.
struct Question {
  explicit Question(Loop& loop) : answered(loop) {}
  Wait answered;
  std::optional<TierObject> object;
};

}  // namespace

Task<std::optional<TierObject>> get_within(ObjectTier& tier, std::string key, Deadline deadline) {
  auto question = std::make_shared<Question>(*Loop::current());
  tier.get(std::move(key), [question](std::optional<TierObject> object) {
    question->object = std::move(object);
    if (question->answered.waiting()) question->answered.wake();
  });
  auto in_time = co_await question->answered.until(deadline);
  if (!in_time) co_return std::nullopt;
  co_return std::move(question->object);
}

}  // namespace weir
