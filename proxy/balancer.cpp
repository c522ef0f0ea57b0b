#include "proxy/balancer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/check.h"

namespace weir {
Result<Balance> parse_balance(std::string_view text) {
  if (text == "least_streams") return Balance::LeastStreams;
  if (text == "weighted_random") return Balance::WeightedRandom;
  if (text == "rendezvous") return Balance::Rendezvous;
  return fail(Errc::Protocol, "must be least_streams, weighted_random or rendezvous");
}

double rendezvous_score(std::string_view key, std::string_view id, double weight) {
  const std::uint64_t hash = stable_hash(key, stable_hash(id));
  // Half a step off zero, so that the logarithm is finite and never 0.
  const double fraction = (static_cast<double>(hash >> 11) + 0.5) * 0x1.0p-53;
  return weight / -std::log(fraction);
}

Balancer::Balancer(Balance balance, std::uint64_t seed, std::string zone)
    : balance_(balance), zone_(std::move(zone)), random_(seed) {}

std::vector<double> Balancer::shares(std::span<const Candidate> candidates) const {
  const auto weighs = [](const Candidate& each) { return each.upstream->weight > 0; };
  const bool weighted = std::ranges::any_of(candidates, weighs);
  const auto eligible = [&](const Candidate& each) { return !weighted || weighs(each); };
  const auto here = [&](const Candidate& each) {
    return eligible(each) && each.upstream->zone == zone_;
  };
  const bool near = !zone_.empty() && std::ranges::any_of(candidates, here);
  const auto taken = [&](const Candidate& each) { return near ? here(each) : eligible(each); };
  const auto warm = [&](const Candidate& each) { return taken(each) && each.warmth >= 1; };
  const bool ramped = balance_ != Balance::Rendezvous && std::ranges::any_of(candidates, warm);
  const auto reports = [](const Candidate& each) { return each.load.has_value(); };
  const bool loaded = balance_ == Balance::LeastStreams && std::ranges::all_of(candidates, reports);

  std::vector<double> shares(candidates.size(), 0);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& each = candidates[i];
    if (!taken(each)) continue;
    shares[i] = weighted ? each.upstream->weight : 1;
    if (ramped) shares[i] *= each.warmth;
    if (loaded) shares[i] *= std::max(1 - *each.load, kLeastSpare);
  }
  return shares;
}

std::size_t Balancer::pick(std::string_view key, std::span<const Candidate> candidates) {
  INVARIANT(!candidates.empty());
  const std::vector<double> share = shares(candidates);
  if (balance_ == Balance::WeightedRandom)
    return std::discrete_distribution<std::size_t>(share.begin(), share.end())(random_);

  std::size_t best = candidates.size();
  double least = 0;
  double best_score = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (share[i] <= 0) continue;
    // The new one included, so that who has none does not get all.
    const double streams = static_cast<double>(candidates[i].streams + 1) / share[i];
    const double load = balance_ == Balance::LeastStreams ? streams : 0;
    const double score = rendezvous_score(key, candidates[i].upstream->id, share[i]);
    const bool better =
        best == candidates.size() || load < least || (load <= least && score > best_score);
    if (!better) continue;
    best = i;
    least = load;
    best_score = score;
  }
  return best;
}

}  // namespace weir
