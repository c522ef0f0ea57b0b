#include "common/io/timer.h"

#include <algorithm>

namespace weir {

namespace {
constexpr int kLevelBits = 6;
}  // namespace

void Timer::disarm() {
  if (next_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

TimerWheel::TimerWheel(Clock::time_point start) : start_(start) {
  for (auto& level : slots_)
    for (auto& slot : level) slot.prev_ = slot.next_ = &slot;
}

TimerWheel::~TimerWheel() {
  for (auto& level : slots_) {
    for (auto& slot : level) {
      while (slot.next_ != &slot) slot.next_->disarm();
      slot.next_ = slot.prev_ = nullptr;
    }
  }
}

std::uint64_t TimerWheel::tick_of(Clock::time_point when) const {
  if (when <= start_) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<milliseconds>(when - start_).count());
}

void TimerWheel::arm(Timer& timer, Clock::time_point when) {
  timer.disarm();
  timer.tick_ = std::max(tick_of(when), now_);
  place(timer);
}

void TimerWheel::place(Timer& timer) {
  // The level is the highest group of six bits in which the tick differs from now.
  const std::uint64_t differs = timer.tick_ ^ now_;
  int level = 0;
  while (level < kLevels - 1 && (differs >> (kLevelBits * (level + 1))) != 0) ++level;
  std::uint64_t slot = timer.tick_ >> (kLevelBits * level);
  // Beyond the last level's reach (4 hours): park in its farthest slot and be placed again from
  // there.
  const std::uint64_t reach = (now_ >> (kLevelBits * level)) + kSlots - 1;
  if (level == kLevels - 1 && slot > reach) slot = reach;
  Slot& head = slots_[static_cast<std::size_t>(level)][slot % kSlots];
  timer.prev_ = head.prev_;
  timer.next_ = &head;
  head.prev_->next_ = &timer;
  head.prev_ = &timer;
}

// Moves every timer of `from` to the empty list `to`: what is armed meanwhile may land in `from`
// again.
void TimerWheel::take(Slot& from, Slot& to) {
  to.next_ = to.prev_ = &to;
  if (from.next_ == &from) return;
  to.next_ = from.next_;
  to.prev_ = from.prev_;
  to.next_->prev_ = to.prev_->next_ = &to;
  from.next_ = from.prev_ = &from;
}

void TimerWheel::cascade(int level, std::uint64_t slot) {
  Slot moving;
  take(slots_[static_cast<std::size_t>(level)][slot % kSlots], moving);
  while (moving.next_ != &moving) {
    Timer& timer = *moving.next_;
    timer.disarm();
    place(timer);
  }
  moving.next_ = moving.prev_ = nullptr;
}

void TimerWheel::advance(Clock::time_point now) {
  if (now < start_) return;
  const auto target =
      static_cast<std::uint64_t>(std::chrono::floor<milliseconds>(now - start_).count());
  if (!next_wake()) now_ = std::max(now_, target + 1);  // no need to walk every tick
  while (now_ <= target) {
    Slot due;
    take(slots_[0][now_ % kSlots], due);
    ++now_;
    for (int level = 1; level < kLevels; ++level) {
      if (now_ % (std::uint64_t{1} << (kLevelBits * level)) != 0) break;
      cascade(level, now_ >> (kLevelBits * level));
    }
    while (due.next_ != &due) {
      Timer& timer = *due.next_;
      timer.disarm();
      timer.expired();
    }
    due.next_ = due.prev_ = nullptr;
  }
}

void TimerWheel::cancel_all() {
  Slot all;
  all.next_ = all.prev_ = &all;
  for (auto& level : slots_) {
    for (auto& slot : level) {
      if (slot.next_ == &slot) continue;
      slot.prev_->next_ = &all;
      slot.next_->prev_ = all.prev_;
      all.prev_->next_ = slot.next_;
      all.prev_ = slot.prev_;
      slot.next_ = slot.prev_ = &slot;
    }
  }
  while (all.next_ != &all) {
    Timer& timer = *all.next_;
    timer.disarm();
    timer.cancelled();
  }
  all.next_ = all.prev_ = nullptr;
}

std::optional<Clock::time_point> TimerWheel::next_wake() const {
  for (int level = 0; level < kLevels; ++level) {
    const std::uint64_t at = now_ >> (kLevelBits * level);
    for (std::uint64_t i = level == 0 ? 0 : 1; i < kSlots; ++i) {
      const Slot& head = slots_[static_cast<std::size_t>(level)][(at + i) % kSlots];
      if (head.next_ == &head) continue;
      const std::uint64_t tick = std::max((at + i) << (kLevelBits * level), now_);
      return start_ + milliseconds(tick);
    }
  }
  return std::nullopt;
}

}  // namespace weir
