#include "proxy/access/verdicts.h"

#include <vector>

namespace weir {

Verdicts::Part& Verdicts::part_of(const std::string& key) {
  return parts_[std::hash<std::string>()(key) % kParts];
}

bool Verdicts::allows(const std::string& key, Clock::time_point now,
                      std::optional<milliseconds> again) {
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  const auto found = part.entries.find(key);
  if (found == part.entries.end()) return false;
  Entry& entry = found->second;
  if (entry.asking || entry.answer.refusal || entry.until <= now) return false;
  if (again) entry.until = now + *again;
  return true;
}

void Verdicts::allow(const std::string& key, std::shared_ptr<void> held, Clock::time_point until) {
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  const auto found = part.entries.find(key);
  if (found == part.entries.end() && part.entries.size() >= kMax / kParts) return;
  Entry& entry = found == part.entries.end() ? part.entries[key] : found->second;
  if (entry.asking) return;  // its answer will be newer
  entry.answer.refusal.reset();
  std::swap(entry.answer.held, held);  // what was held goes when the lock has been given back
  entry.until = until;
}

Verdicts::Found Verdicts::find_or_begin(const std::string& key, Clock::time_point now) {
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  Found found;
  const auto known = part.entries.find(key);
  if (known == part.entries.end() && part.entries.size() >= kMax / kParts) return found;
  Entry& entry = part.entries[key];
  if (entry.asking) {
    found.asking = entry.asking;
    found.seen = entry.asking->answered.now();
  } else if (entry.until > now) {
    found.answer = entry.answer;
  } else {
    entry.asking = std::make_shared<Question>();
  }
  return found;
}

Task<Verdicts::Answer> Verdicts::settle(std::string key, milliseconds lifetime, Ask ask) {
  Loop& loop = *Loop::current();
  while (true) {
    Found found = find_or_begin(key, loop.now());
    if (found.answer) co_return std::move(*found.answer);
    if (!found.asking) break;
    auto told = co_await found.asking->answered.after(found.seen, loop.in(kPatience));
    if (!told) {
      const AccessRefusal refusal{AccessReason::HookDown, "nobody has decided in time"};
      co_return Answer{.refusal = refusal};
    }
  }
  auto asking = ask();
  Answer answer = co_await asking;
  finish(key, answer, loop.now() + (answer.refusal ? kRefused : lifetime));
  co_return answer;
}

void Verdicts::finish(const std::string& key, const Answer& answer, Clock::time_point until) {
  std::shared_ptr<Question> asked;
  std::shared_ptr<void> held = answer.held;
  Part& part = part_of(key);
  {
    const std::lock_guard lock(part.mutex);
    const auto found = part.entries.find(key);
    if (found == part.entries.end() || !found->second.asking) return;
    Entry& entry = found->second;
    asked = std::move(entry.asking);
    entry.asking.reset();
    entry.answer.refusal = answer.refusal;
    std::swap(entry.answer.held, held);
    entry.until = until;
  }
  asked->answered.announce();
}

void Verdicts::sweep(Clock::time_point now) {
  std::vector<std::shared_ptr<void>> gone;
  Part& part = parts_[next_.fetch_add(1, std::memory_order_relaxed) % kParts];
  const std::lock_guard lock(part.mutex);
  for (auto each = part.entries.begin(); each != part.entries.end();) {
    Entry& entry = each->second;
    const bool old = !entry.asking && entry.until <= now;
    if (old) gone.push_back(std::move(entry.answer.held));
    each = old ? part.entries.erase(each) : std::next(each);
  }
}

void Verdicts::clear() {
  std::vector<std::shared_ptr<void>> gone;
  for (Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    for (auto& [key, entry] : part.entries) gone.push_back(std::move(entry.answer.held));
    std::erase_if(part.entries, [](const auto& each) { return !each.second.asking; });
  }
}

std::size_t Verdicts::size() const {
  std::size_t size = 0;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    size += part.entries.size();
  }
  return size;
}

}  // namespace weir
