// proxy/balancer.h
// Whom a stream goes to when it is new, among those who may be asked.
//
//   least_streams    fewest streams for the weight; ties go by the rendezvous hash (the default)
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
// Threading: one loop owns it. Bounds: it keeps nothing but the state of its random numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>

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
  };

  explicit Balancer(Balance balance = Balance::LeastStreams,
                    std::uint64_t seed = std::random_device{}());

  // The index of the chosen one. Among candidates of weight 0 only, as if each had weight 1.
  // REQUIRES: at least one candidate.
  std::size_t pick(std::string_view key, std::span<const Candidate> candidates);

 private:
  Balance balance_;
  std::mt19937_64 random_;
};

// REQUIRES: weight >= 1.
double rendezvous_score(std::string_view key, std::string_view id, std::uint32_t weight);

}  // namespace weir
