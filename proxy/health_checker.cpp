#include "proxy/health_checker.h"

#include <algorithm>

namespace weir {
namespace {

// Who is new is found at the latest after this.
constexpr milliseconds kLongestPause{100};
constexpr milliseconds kShortestPause{5};

prometheus::Counter& probes(Metrics& metrics, const char* result) {
  return metrics.counter("weir_health_probes_total", "Active looks at upstreams, by result.",
                         {{"result", result}});
}

}  // namespace

HealthChecker::HealthChecker(Loop& loop, const Registry& registry, HealthCheckOptions options,
                             Metrics& metrics, Tell tell)
    : loop_(loop),
      registry_(registry),
      options_(std::move(options)),
      tell_(std::move(tell)),
      good_(probes(metrics, "good")),
      bad_(probes(metrics, "bad")),
      refused_(probes(metrics, "refused")) {}

Task<void> HealthChecker::run() {
  Resolver resolver(loop_);
  while (true) {
    follow_registry();
    if (options_.check != HealthCheck::Off) start_due(resolver);
    auto slept = co_await sleep(loop_, until_next());
    if (!slept) break;
  }
  for (auto& child : children_) co_await child->join();
}

Duration HealthChecker::jittered(double low, double high) {
  std::uniform_real_distribution<double> factor(low, high);
  return std::chrono::duration_cast<Duration>(options_.interval * factor(random_));
}

void HealthChecker::follow_registry() {
  const TimePoint now = loop_.now();
  for (const auto& [id, entry] : registry_.entries()) {
    const auto [at, fresh] = patients_.try_emplace(id);
    if (fresh) at->second.due = now + jittered(0, 1);
  }
  std::erase_if(patients_, [&](const auto& item) {
    return !item.second.under_way && registry_.find(item.first) == nullptr;
  });
}

void HealthChecker::start_due(Resolver& resolver) {
  const TimePoint now = loop_.now();
  for (auto& [id, patient] : patients_) {
    if (patient.under_way || patient.due > now) continue;
    const Registry::Entry* entry = registry_.find(id);
    if (entry == nullptr) continue;
    patient.due = now + jittered(0.9, 1.1);
    const auto target = health_target(*entry->upstream, options_.check);
    if (!target || !registry_.alive(*entry, now)) continue;
    Child* child = free_child();
    if (child == nullptr) {
      patient.due = now;
      return;
    }
    patient.under_way = true;
    patient.life = entry->upstream->generation();
    child->start(look(resolver, id, entry->upstream, *target));
  }
}

Child* HealthChecker::free_child() {
  const auto free =
      std::ranges::find_if(children_, [](const auto& child) { return !child->running(); });
  if (free != children_.end()) return free->get();
  if (children_.size() >= kMaxUnderWay) return nullptr;
  return children_.emplace_back(std::make_unique<Child>(loop_)).get();
}

Duration HealthChecker::until_next() const {
  TimePoint next = loop_.now() + kLongestPause;
  for (const auto& [id, patient] : patients_)
    if (!patient.under_way) next = std::min(next, patient.due);
  return std::max<Duration>(next - loop_.now(), kShortestPause);
}

Task<void> HealthChecker::look(Resolver& resolver, std::string id, UpstreamPtr upstream,
                               HealthTarget target) {
  // A copy: they may change meanwhile.
  const HealthCheckOptions options = options_;
  auto found =
      co_await probe_health(resolver, std::move(upstream), target, options.path, options.timeout);
  took(id, found);
}

void HealthChecker::took(const std::string& id, const Result<void>& found) {
  Patient& patient = patients_.at(id);
  patient.under_way = false;
  const Errc code = found ? Errc::Closed : found.error().code;
  // Our own end, and our own kernel's lack of something.
  if (!found && (code == Errc::Cancelled || code == Errc::System)) return;
  const Registry::Entry* entry = registry_.find(id);
  // It was restarted meanwhile: that was another one.
  if (entry == nullptr || entry->upstream->generation() != patient.life) return;
  if (found) {
    good_.Increment();
    tell_(id, Probed::Good, "");
    return;
  }
  const bool refused = code == Errc::Refused;
  (refused ? refused_ : bad_).Increment();
  tell_(id, refused ? Probed::Refused : Probed::Bad, "probe: " + found.error().text);
}

}  // namespace weir
