#include "common/io/admission.h"

#include <thread>
#include <vector>
#include <catch2/catch.hpp>

using namespace weir;

namespace {

Address from(const std::string& host, std::uint16_t port = 4000) {
  return *Address::parse(host, port);
}

}  // namespace

TEST_CASE("as many connections as allowed in all, and not one more", "[admission]") {
  Admission admission(2, 0);
  auto first = admission.admit(from("10.0.0.1"));
  const auto second = admission.admit(from("10.0.0.2"));
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(admission.admit(from("10.0.0.3")));
  CHECK(admission.connections() == 2);
  CHECK(admission.refused() == 1);
  first.reset();
  CHECK(admission.connections() == 1);
  CHECK(admission.admit(from("10.0.0.3")));
}

TEST_CASE("as many connections as allowed from one address, whatever the port", "[admission]") {
  Admission admission(0, 2);
  const auto first = admission.admit(from("10.0.0.1", 1000));
  auto second = admission.admit(from("10.0.0.1", 2000));
  CHECK(second);
  CHECK_FALSE(admission.admit(from("10.0.0.1", 3000)));
  const auto other = admission.admit(from("10.0.0.2"));
  CHECK(other);
  second.reset();
  CHECK(admission.admit(from("10.0.0.1", 3000)));
}

TEST_CASE("an IPv4 address counts as itself when it comes mapped into IPv6", "[admission]") {
  Admission admission(0, 1);
  const auto first = admission.admit(from("10.0.0.1"));
  CHECK_FALSE(admission.admit(from("::ffff:10.0.0.1")));
}

TEST_CASE("without limits everybody comes in", "[admission]") {
  Admission admission(0, 0);
  std::vector<std::shared_ptr<void>> tickets;
  for (int i = 0; i < 1000; ++i) tickets.push_back(admission.admit(from("10.0.0.1")));
  CHECK(admission.connections() == 1000);
  CHECK(admission.refused() == 0);
  CHECK(std::ranges::find(tickets, nullptr) == tickets.end());
}

TEST_CASE("a ticket that is shared counts until its last holder is gone", "[admission]") {
  Admission admission(1, 1);
  auto ticket = admission.admit(from("10.0.0.1"));
  auto shared = ticket;
  ticket.reset();
  CHECK(admission.connections() == 1);
  shared.reset();
  CHECK(admission.connections() == 0);
}

TEST_CASE("the books are right though many threads come and go", "[admission][threads]") {
  Admission admission(3, 2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&admission, t] {
      const auto address = from("10.0.0." + std::to_string(t % 2));
      for (int i = 0; i < 2000; ++i) {
        const auto ticket = admission.admit(address);
        if (admission.connections() > 3) std::abort();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(admission.connections() == 0);
  std::vector<std::shared_ptr<void>> tickets{admission.admit(from("10.0.0.0")),
                                             admission.admit(from("10.0.0.0")),
                                             admission.admit(from("10.0.0.1"))};
  CHECK(std::ranges::find(tickets, nullptr) == tickets.end());
}

TEST_CASE("connections of a trusted hop count in all, its requests against their clients",
          "[admission]") {
  Admission admission(4, 1);
  admission.trust({.from = *CidrList::parse("10.0.0.0/8")});
  const auto first = admission.admit(from("10.0.0.1"));
  const auto second = admission.admit(from("10.0.0.1"));
  REQUIRE(second);
  auto request = admission.admit_behind_hop(from("192.0.2.1"));
  CHECK(request);
  CHECK_FALSE(admission.admit_behind_hop(from("192.0.2.1")));
  CHECK_FALSE(admission.admit(from("192.0.2.1")));
  CHECK(admission.connections() == 2);
  CHECK(admission.refused() == 2);
  request.reset();
  CHECK(admission.admit(from("192.0.2.1")));
  const auto third = admission.admit(from("10.0.0.2"));
  const auto fourth = admission.admit(from("10.0.0.2"));
  CHECK(fourth);
  CHECK_FALSE(admission.admit(from("10.0.0.2")));

  admission.trust({});
  CHECK_FALSE(admission.hops());
}
