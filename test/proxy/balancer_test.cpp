#include "proxy/balancer.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <map>
#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

Balancer::Candidate candidate(const std::string& id, std::uint32_t weight,
                              std::size_t streams = 0) {
  return {std::make_shared<const Upstream>(configured(id, weight)), streams};
}

std::string picked(Balancer& balancer, const std::string& key,
                   const std::vector<Balancer::Candidate>& candidates) {
  return candidates[balancer.pick(key, candidates)].upstream->id;
}

std::map<std::string, int> spread(Balance balance,
                                  const std::vector<Balancer::Candidate>& candidates, int keys) {
  Balancer balancer{balance, 7};
  std::map<std::string, int> counts;
  for (int i = 0; i < keys; ++i)
    ++counts[picked(balancer, fmt::format("v/live/{}", i), candidates)];
  return counts;
}

}  // namespace

TEST_CASE("least_streams takes the fewest streams for the weight", "[balancer]") {
  Balancer balancer{Balance::LeastStreams};
  CHECK(picked(balancer, "k", {candidate("a", 1, 3), candidate("b", 1, 2)}) == "b");
  CHECK(picked(balancer, "k", {candidate("a", 4, 7), candidate("b", 1, 2)}) == "a");
}

TEST_CASE("ties of least_streams go by the rendezvous hash", "[balancer]") {
  Balancer least{Balance::LeastStreams};
  Balancer rendezvous{Balance::Rendezvous};
  const std::vector candidates{candidate("a", 1), candidate("b", 1), candidate("c", 1)};
  for (int i = 0; i < 100; ++i) {
    const auto key = fmt::format("v/live/{}", i);
    CHECK(picked(least, key, candidates) == picked(rendezvous, key, candidates));
  }
}

TEST_CASE("rendezvous picks the same one whatever the order and load", "[balancer]") {
  Balancer balancer{Balance::Rendezvous};
  for (int i = 0; i < 100; ++i) {
    const auto key = fmt::format("v/live/{}", i);
    CHECK(picked(balancer, key, {candidate("a", 1, 9), candidate("b", 1), candidate("c", 1)}) ==
          picked(balancer, key, {candidate("c", 1, 5), candidate("a", 1), candidate("b", 1)}));
  }
}

TEST_CASE("rendezvous picks are fixed for ever", "[balancer]") {
  Balancer balancer{Balance::Rendezvous};
  const std::vector candidates{candidate("a", 1), candidate("b", 1), candidate("c", 1)};
  CHECK(picked(balancer, "v/live/a", candidates) == "b");
  CHECK(picked(balancer, "v/live/b", candidates) == "b");
  CHECK(picked(balancer, "v/live/c", candidates) == "c");
  CHECK(picked(balancer, "v/live/d", candidates) == "a");
}

TEST_CASE("when one leaves rendezvous, only its own streams move", "[balancer]") {
  Balancer balancer{Balance::Rendezvous};
  const std::vector all{candidate("a", 1), candidate("b", 2), candidate("c", 1)};
  const std::vector left{candidate("a", 1), candidate("b", 2)};
  for (int i = 0; i < 300; ++i) {
    const auto key = fmt::format("v/live/{}", i);
    const auto before = picked(balancer, key, all);
    if (before != "c") CHECK(picked(balancer, key, left) == before);
  }
}

TEST_CASE("rendezvous and weighted_random share streams by weight", "[balancer]") {
  const std::vector candidates{candidate("a", 1), candidate("b", 3)};
  for (const Balance balance : {Balance::Rendezvous, Balance::WeightedRandom}) {
    const auto counts = spread(balance, candidates, 10'000);
    CHECK(counts.at("a") == Approx(2500).margin(200));
    CHECK(counts.at("b") == Approx(7500).margin(200));
  }
}

TEST_CASE("weight 0 takes streams only when nobody else can", "[balancer]") {
  for (const Balance balance :
       {Balance::LeastStreams, Balance::Rendezvous, Balance::WeightedRandom}) {
    CHECK(spread(balance, {candidate("a", 0), candidate("b", 1, 99)}, 100).count("a") == 0);
    const auto standby = spread(balance, {candidate("a", 0), candidate("b", 0)}, 100);
    CHECK(standby.size() == 2);
  }
}

TEST_CASE("rendezvous scores are finite and positive", "[balancer]") {
  for (int i = 0; i < 1000; ++i) {
    const double score = rendezvous_score(fmt::format("{}", i), "a", 1000);
    CHECK((std::isfinite(score) && score > 0));
  }
}

TEST_CASE("the words of the balance option are known", "[balancer]") {
  CHECK(parse_balance("least_streams") == Balance::LeastStreams);
  CHECK(parse_balance("weighted_random") == Balance::WeightedRandom);
  CHECK(parse_balance("rendezvous") == Balance::Rendezvous);
  CHECK_FALSE(parse_balance("round_robin"));
}

}  // namespace weir
