// proxy/balancer.h
// Whom a stream goes to when it is new, among those who may be asked.
//
//   least_streams    fewest streams for the weight and for what its machine has to spare; ties go
//                    by the rendezvous hash
//   weighted_random  by chance, in proportion to the weight
//   rendezvous       highest score of stable_hash(key, hash of the upstream's id): every process that sees the
//                    same candidates picks the same one without talking, and when one leaves only its own
//                    streams move
//
// The rendezvous score is weight / -ln(u), u = the hash's upper 53 bits as a fraction in (0, 1): so
// a stream lands on an upstream with a chance in proportion to its weight, and a changed weight
// moves only the share that must move. The hash takes the id, not the service id: a restarted
// server keeps its place.
//
// Zone: those of this node's zone come first, while one of them is among the candidates. So nodes
// of different zones disagree; without zones all agree.
//
// Slow start: the weight counts times the warmth, unless all candidates are cold (they began
// together), and never for rendezvous: nodes see a recovery at different times and would disagree
// about its streams. What comes back to it at once is its share of the new streams and no more.
//
// Load: least_streams counts the weight times what the machine has to spare (1 - load, at least
// kLeastSpare), when every candidate reports its load.
//
// Threading: one loop owns it. Bounds: it keeps nothing but the state of its random numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "proxy/upstream.h"

namespace weir {

enum class Balance { LeastStreams, WeightedRandom, Rendezvous };

// The option's words, as in the list above.
Result<Balance> parse_balance(std::string_view text);

class Balancer {
 public:
  struct Candidate {
    UpstreamPtr upstream;
    std::size_t streams = 0;
    double warmth = 1;                // in (0, 1]
    std::optional<double> load = {};  // 0 to 1
  };
  static constexpr double kLeastSpare = 0.05;

  explicit Balancer(Balance balance = Balance::LeastStreams,
                    std::uint64_t seed = std::random_device{}(), std::string zone = {});

  // The index of the chosen one. Among candidates of weight 0 only, as if each had weight 1.
  // REQUIRES: at least one candidate.
  std::size_t pick(std::string_view key, std::span<const Candidate> candidates);

 private:
  // Of each candidate; 0: not to be picked.
  std::vector<double> shares(std::span<const Candidate> candidates) const;

  Balance balance_;
  std::string zone_;
  std::mt19937_64 random_;
};

// REQUIRES: weight > 0.
double rendezvous_score(std::string_view key, std::string_view id, double weight);

}  // namespace weir
