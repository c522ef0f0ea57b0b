#include "common/http/forwarded.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::http;

namespace {

using Kind = ForwardedNode::Kind;

std::string text_of(const std::vector<ForwardedNode>& nodes) {
  std::string text;
  for (const ForwardedNode& node : nodes) {
    if (!text.empty()) text += ' ';
    if (node.kind == Kind::Address) text += node.address.text();
    if (node.kind == Kind::Hidden) text += '?';
    if (node.kind == Kind::Malformed) text += '!';
  }
  return text;
}

std::string forwarded(std::string_view value) { return text_of(read_forwarded(value)); }
std::string x_forwarded(std::string_view value) { return text_of(read_x_forwarded_for(value)); }

TrustedHops hops(std::string_view from) { return {.from = *CidrList::parse(from)}; }

// The client of such a request from 10.0.0.1: an address, "?" or the error's name.
std::string client(Headers headers, const TrustedHops& trusted = hops("10.0.0.0/8")) {
  const auto told = take_client(headers, *Address::parse("10.0.0.1", 4000), &trusted);
  if (!told) return std::string(name(told.error().code));
  return *told ? (**told).host() : "?";
}

}  // namespace

TEST_CASE("the examples of RFC 7239 are read", "[forwarded]") {
  CHECK(forwarded(R"(for="_gazonk")") == "?");
  CHECK(forwarded(R"(For="[2001:db8:cafe::17]:4711")") == "[2001:db8:cafe::17]:4711");
  CHECK(forwarded("for=192.0.2.60;proto=http;by=203.0.113.43") == "192.0.2.60:0");
  CHECK(forwarded("for=192.0.2.43, for=198.51.100.17") == "192.0.2.43:0 198.51.100.17:0");
  CHECK(forwarded(R"(for=192.0.2.43, for="[2001:db8:cafe::17]")") ==
        "192.0.2.43:0 [2001:db8:cafe::17]:0");
  CHECK(forwarded(R"(for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown)") ==
        "192.0.2.43:0 [2001:db8:cafe::17]:0 ?");
  CHECK(forwarded("for=_hidden, for=_SEVKISEK") == "? ?");
}

TEST_CASE("ports, escapes, empty members and unknown parameters are taken", "[forwarded]") {
  CHECK(forwarded(R"(for="192.0.2.43:47011")") == "192.0.2.43:47011");
  CHECK(forwarded(R"(for="192.0.2.43:99999")") == "192.0.2.43:0");
  CHECK(forwarded(R"(for="192.0.2.43:_port")") == "192.0.2.43:0");
  CHECK(forwarded(R"(for="unknown:80")") == "?");
  CHECK(forwarded(R"(for="\192.0.\2.43")") == "192.0.2.43:0");
  CHECK(forwarded(R"(host="a, for=1.1.1.1";for=2.2.2.2)") == "2.2.2.2:0");
  CHECK(forwarded("proto=https;secret=_x") == "?");
  CHECK(forwarded(" , for=1.1.1.1 ,,; ;for=2.2.2.2;") == "1.1.1.1:0 2.2.2.2:0");
  CHECK(forwarded("for=::1") == "!");
  CHECK(forwarded("") == "");
}

TEST_CASE("one mistake spoils a Forwarded, for nobody knows what is quoted", "[forwarded]") {
  for (const char* bad : {"for",
                          "for=",
                          "for=;",
                          "=1.1.1.1",
                          "for=1.1.1.1;for=2.2.2.2",
                          "for=1.1.1.1 for=2.2.2.2",
                          "for=999.1.1.1",
                          "for=example.org",
                          "for=\"",
                          "for=\"1.1.1.1\\",
                          "for=\"1.1.1.1",
                          "for=\"x, for=1.2.3.4",
                          "for=1.1.1.1:80",
                          "for=\"2001:db8::1\"",
                          "for=\"[2001:db8::1\"",
                          "for=\"[1.1.1.1]\"",
                          "for=\"[2001:db8::1]80\"",
                          "for=\"1.1.1.1:\"",
                          "for=\"1.1.1.1:123456\"",
                          "for=\"1.1.1.1:8x\"",
                          "for=\"_\"",
                          "for=\"[]\"",
                          "for=\"\"",
                          "for = 1.1.1.1",
                          "for=1.1.1.1, for=\"1.1.1.1 \""}) {
    INFO(bad);
    CHECK(forwarded(bad) == "!");
  }
}

TEST_CASE("a member of X-Forwarded-For is an address and spoils nothing but itself",
          "[forwarded]") {
  CHECK(x_forwarded("1.1.1.1, ::1,[::2],[::3]:5, 2.2.2.2:80 ,, unknown,_x, nonsense,4.4.4.4") ==
        "1.1.1.1:0 [::1]:0 [::2]:0 [::3]:5 2.2.2.2:80 ? ? ! 4.4.4.4:0");
  CHECK(x_forwarded("") == "");
}

TEST_CASE("the client is the first from the right who is no trusted hop", "[forwarded]") {
  CHECK(client({}) == "10.0.0.1");
  CHECK(client({{"X-Forwarded-For", "1.1.1.1"}}) == "1.1.1.1");
  CHECK(client({{"X-Forwarded-For", "6.6.6.6, 1.1.1.1, 10.0.0.7"}}) == "1.1.1.1");
  CHECK(client({{"X-Forwarded-For", "6.6.6.6"}, {"X-Forwarded-For", "1.1.1.1"}}) == "1.1.1.1");
  CHECK(client({{"X-Forwarded-For", "::ffff:10.0.0.9, ::ffff:10.0.0.7"}}) == "10.0.0.9");
  CHECK(client({{"X-Forwarded-For", "nonsense, 1.1.1.1"}}) == "1.1.1.1");
  CHECK(client({{"X-Forwarded-For", "1.1.1.1, nonsense"}}) == "protocol");
  CHECK(client({{"X-Forwarded-For", "1.1.1.1, unknown"}}) == "?");
  CHECK(client({{"X-Forwarded-For", ""}}) == "10.0.0.1");
  CHECK(client({{"Forwarded", "for=\"x"}, {"Forwarded", "for=1.1.1.1"}}) == "1.1.1.1");
  CHECK(client({{"Forwarded", "for=\"x, for=1.1.1.1"}}) == "protocol");
  CHECK(client({{"Forwarded", "for=1.1.1.1;proto=https, for=10.3.3.3"}}) == "1.1.1.1");
}

TEST_CASE("Forwarded goes before X-Forwarded-For, unless hops do not write it", "[forwarded]") {
  const Headers both{{"Forwarded", "for=1.1.1.1"}, {"X-Forwarded-For", "2.2.2.2"}};
  CHECK(client(both) == "1.1.1.1");
  TrustedHops old = hops("10.0.0.0/8");
  old.forwarded = false;
  CHECK(client(both, old) == "2.2.2.2");
  TrustedHops modern = hops("10.0.0.0/8");
  modern.x_forwarded_for = false;
  CHECK(client({{"X-Forwarded-For", "2.2.2.2"}}, modern) == "10.0.0.1");
  Headers passed = both;
  REQUIRE(take_client(passed, *Address::parse("10.0.0.1", 1), &old));
  CHECK_FALSE(passed.has("Forwarded"));
  CHECK(passed.has("X-Forwarded-For"));
}

TEST_CASE("who is no trusted hop names nobody, and nothing of it is passed on", "[forwarded]") {
  const Headers said{{"Forwarded", "for=\"broken"},
                     {"x-forwarded-for", "2.2.2.2"},
                     {"X-Forwarded-Proto", "https"},
                     {"X-Forwarded-Anything", "1"},
                     {"X-Real-IP", "3.3.3.3"},
                     {"X-Forwarde", "kept"},
                     {"Via", "1.1 a"}};
  const Address sender = *Address::parse("192.0.2.1", 4000);
  const TrustedHops others = hops("10.0.0.0/8");
  for (const TrustedHops* trusted : {&others, static_cast<const TrustedHops*>(nullptr)}) {
    Headers headers = said;
    const auto told = take_client(headers, sender, trusted);
    REQUIRE((told && *told));
    CHECK((**told).text() == "192.0.2.1:4000");
    CHECK(headers == Headers{{"X-Forwarde", "kept"}, {"Via", "1.1 a"}});
  }
}

TEST_CASE("a row is as long as its bounds, and no longer", "[forwarded]") {
  const auto row = [](std::size_t nodes) {
    std::string text;
    for (std::size_t i = 0; i < nodes; ++i) text += "10.0.0.2,";
    return text;
  };
  CHECK(client({{"X-Forwarded-For", row(kMaxForwardedNodes)}}) == "10.0.0.2");
  CHECK(client({{"X-Forwarded-For", row(kMaxForwardedNodes + 1)}}) == "limit");
  const std::string longest(kMaxForwarded - 7, ' ');
  CHECK(client({{"X-Forwarded-For", longest + "1.1.1.1"}}) == "1.1.1.1");
  CHECK(client({{"X-Forwarded-For", longest + " 1.1.1.1"}}) == "limit");
  CHECK(client({{"X-Forwarded-For", longest}, {"X-Forwarded-For", "11.1.1.1"}}) == "limit");
}

TEST_CASE("an element that is written is read again", "[forwarded]") {
  for (const char* host : {"203.0.113.7", "2001:db8::17"}) {
    const auto node = *Address::parse(host, 80);
    const auto read = read_forwarded(forwarded_for(node) + ";proto=http");
    REQUIRE(read.size() == 1);
    CHECK(read[0].kind == Kind::Address);
    CHECK(read[0].address.host() == host);
  }
  CHECK(forwarded_for(*Address::parse("::ffff:1.2.3.4", 0)) == "for=1.2.3.4");
}
