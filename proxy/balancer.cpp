#include "proxy/balancer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/check.h"

namespace weir {
namespace {

using Candidate = Balancer::Candidate;

// Compares streams / weight without dividing.
bool less_loaded(const Candidate& a, std::uint64_t a_weight, const Candidate& b,
                 std::uint64_t b_weight) {
  return a.streams * b_weight < b.streams * a_weight;
}

}  // namespace

Result<Balance> parse_balance(std::string_view text) {
  if (text == "least_streams") return Balance::LeastStreams;
  if (text == "weighted_random") return Balance::WeightedRandom;
  if (text == "rendezvous") return Balance::Rendezvous;
  return fail(Errc::Protocol, "must be least_streams, weighted_random or rendezvous");
}

double rendezvous_score(std::string_view key, std::string_view id, std::uint32_t weight) {
  const std::uint64_t hash = stable_hash(key, stable_hash(id));
  // Half a step off zero, so that the logarithm is finite and never 0.
  const double fraction = (static_cast<double>(hash >> 11) + 0.5) * 0x1.0p-53;
  return static_cast<double>(weight) / -std::log(fraction);
}

Balancer::Balancer(Balance balance, std::uint64_t seed) : balance_(balance), random_(seed) {}

std::size_t Balancer::pick(std::string_view key, std::span<const Candidate> candidates) {
  INVARIANT(!candidates.empty());
  const bool weighted = std::ranges::any_of(
      candidates, [](const Candidate& candidate) { return candidate.upstream->weight > 0; });
  const auto weight = [&](std::size_t i) { return weighted ? candidates[i].upstream->weight : 1U; };

  if (balance_ == Balance::WeightedRandom) {
    std::vector<std::uint32_t> weights;
    weights.reserve(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) weights.push_back(weight(i));
    return std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(random_);
  }

  std::size_t best = candidates.size();
  double best_score = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (weight(i) == 0) continue;
    const double score = rendezvous_score(key, candidates[i].upstream->id, weight(i));
    bool better = best == candidates.size();
    if (!better && balance_ == Balance::LeastStreams) {
      const bool less = less_loaded(candidates[i], weight(i), candidates[best], weight(best));
      const bool more = less_loaded(candidates[best], weight(best), candidates[i], weight(i));
      better = less || (!more && score > best_score);
    } else if (!better) {
      better = score > best_score;
    }
    if (better) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

}  // namespace weir
