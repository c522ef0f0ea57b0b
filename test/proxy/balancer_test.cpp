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
  return {.upstream = std::make_shared<const Upstream>(configured(id, weight)), .streams = streams};
}

Balancer::Candidate in_zone(const std::string& id, const std::string& zone,
                            std::uint32_t weight = 1) {
  Upstream upstream = configured(id, weight);
  upstream.zone = zone;
  return {.upstream = std::make_shared<const Upstream>(upstream)};
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

TEST_CASE("those of the own zone come first, while somebody is there", "[balancer]") {
  for (const Balance balance :
       {Balance::LeastStreams, Balance::Rendezvous, Balance::WeightedRandom}) {
    Balancer east{balance, 7, "east"};
    std::vector all{in_zone("a", "west", 100), in_zone("b", "east"), in_zone("c", "")};
    for (int i = 0; i < 50; ++i) CHECK(picked(east, fmt::format("{}", i), all) == "b");
    all.erase(all.begin() + 1);
    std::map<std::string, int> counts;
    for (int i = 0; i < 50; ++i) ++counts[picked(east, fmt::format("{}", i), all)];
    CHECK(counts["a"] > 0);
  }
}

TEST_CASE("a weight of 0 in the own zone still waits until nobody else can", "[balancer]") {
  Balancer east{Balance::LeastStreams, 7, "east"};
  CHECK(picked(east, "k", {in_zone("a", "east", 0), in_zone("b", "west")}) == "b");
}

TEST_CASE("a cold one gets its first streams by and by", "[balancer]") {
  Balancer balancer{Balance::LeastStreams};
  auto cold = candidate("a", 1, 0);
  cold.warmth = 0.1;
  CHECK(picked(balancer, "k", {cold, candidate("b", 1, 20)}) == "a");
  cold.streams = 2;  // with the new one 3 / 0.1, and 21
  CHECK(picked(balancer, "k", {cold, candidate("b", 1, 20)}) == "b");
  cold.warmth = 0.5;
  CHECK(picked(balancer, "k", {cold, candidate("b", 1, 20)}) == "a");
}

TEST_CASE("a cold one gets less by chance, and all of its share by rendezvous", "[balancer]") {
  std::vector candidates{candidate("a", 1), candidate("b", 1)};
  const auto before = spread(Balance::Rendezvous, candidates, 1000);
  candidates[0].warmth = 0.25;
  CHECK(spread(Balance::Rendezvous, candidates, 1000) == before);
  CHECK(spread(Balance::WeightedRandom, candidates, 10'000).at("a") == Approx(2000).margin(200));
}

TEST_CASE("when all are cold none is", "[balancer]") {
  std::vector candidates{candidate("a", 1), candidate("b", 1)};
  candidates[0].warmth = 0.1;
  candidates[1].warmth = 0.9;
  CHECK(spread(Balance::WeightedRandom, candidates, 10'000).at("a") == Approx(5000).margin(200));
}

TEST_CASE("least_streams spares busy machines when all say how busy they are", "[balancer]") {
  Balancer balancer{Balance::LeastStreams};
  std::vector candidates{candidate("a", 1, 4), candidate("b", 1, 6)};
  candidates[0].load = 0.8;
  CHECK(picked(balancer, "k", candidates) == "a");
  candidates[1].load = 0.2;
  CHECK(picked(balancer, "k", candidates) == "b");
  candidates[0].load = 1;
  candidates[1].load = 1;
  CHECK(picked(balancer, "k", candidates) == "a");
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
