#include "proxy/webrtc_directory.h"

#include <catch2/catch.hpp>

#include "common/io/udp_peer.h"
#include "test/support/loop_fixture.h"
#include "test/support/memory_webrtc_store.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

WebrtcSession session_named(const std::string& id) {
  return {.id = id,
          .stream = "__defaultVhost__/live/cam",
          .upstream = "o1",
          .publishes = true,
          .checks = {{id + "or:" + id + "cl", "password-of-22-letters", "the-client's-22-letters"}},
          .media = {*Address::parse("127.0.0.1", 4000), *Address::parse("::1", 4001)}};
}

}  // namespace

TEST_CASE("a session survives being written and read", "[webrtc]") {
  WebrtcSession session = session_named("a");
  const auto read = decode_webrtc_session(encode(session));
  REQUIRE(read);
  CHECK(read->id == session.id);
  CHECK(read->stream == session.stream);
  CHECK(read->upstream == session.upstream);
  CHECK(read->publishes);
  CHECK(read->expires == 0);
  CHECK(read->checks == session.checks);
  REQUIRE(read->media.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(same_address(read->media[i], session.media[i]));
  session.publishes = false;
  session.expires = 1'767'225'600;
  CHECK_FALSE(decode_webrtc_session(encode(session))->publishes);
  CHECK(decode_webrtc_session(encode(session))->expires == 1'767'225'600);
}

TEST_CASE("records that are broken, foreign or too long are refused", "[webrtc]") {
  const std::string good = encode(session_named("a"));
  for (const std::string& bad :
       {std::string("webrtc 2\n"), good.substr(0, good.find("check")), std::string("{}"),
        good + "media nonsense\n", good + "check\n", std::string(70'000, 'x')})
    CHECK_FALSE(decode_webrtc_session(bad));
  CHECK(decode_webrtc_session(good + "later field\n"));
  CHECK_FALSE(decode_webrtc_session(good + "expires soon\n"));
  std::string full = good;
  for (std::size_t i = 1; i < WebrtcSession::kMaxChecks; ++i) full += "check a:b p\n";
  CHECK(decode_webrtc_session(full));
  CHECK_FALSE(decode_webrtc_session(full + "check a:b p\n"));
}

TEST_CASE("every pair of sections that may be used has its name", "[webrtc]") {
  const auto names = [](const std::vector<sdp::Credentials>& origin,
                        const std::vector<sdp::Credentials>& client) {
    std::string all;
    for (const auto& check : checks_of(origin, client))
      all += check.username + "=" + check.password + " ";
    return all;
  };
  CHECK(names({{"o", "po"}}, {{"c", "pc"}}) == "o:c=po ");
  CHECK(names({{"o", "po"}}, {{"c1", ""}, {"c2", ""}}) == "o:c1=po o:c2=po ");
  CHECK(names({{"o1", "p1"}, {"o2", "p2"}}, {{"c1", ""}, {"c2", ""}}) ==
        "o1:c1=p1 o2:c2=p2 o2:c1=p2 o1:c2=p1 ");
  CHECK(names({}, {{"c", ""}}).empty());
}

TEST_CASE("one proxy finds what another announced, until it is ended", "[webrtc]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    test::MemoryWebrtcStore store;
    Metrics metrics("1.0.0");
    Metrics other_metrics("1.0.0");
    WebrtcDirectory first(10, &store, metrics);
    WebrtcDirectory second(10, &store, other_metrics);
    auto announced = co_await first.announce(on, session_named("a"));
    REQUIRE(announced);
    REQUIRE(first.find("aor:acl") != nullptr);
    CHECK(second.find("aor:acl") == nullptr);
    CHECK(second.may_look_up("aor:acl", on.now()));
    auto found = co_await second.look_up(on, "aor:acl");
    REQUIRE(found != nullptr);
    CHECK(found->session.upstream == "o1");
    CHECK(second.find("aor:acl") == found);
    auto unknown = co_await second.look_up(on, "who:knows");
    CHECK(unknown == nullptr);

    // Also by its id, and by the address that its client has proved to the other.
    auto by_id = co_await second.session("a");
    REQUIRE(by_id);
    CHECK(by_id->publishes);
    const Address address = *Address::parse("192.0.2.9", 5004);
    auto entry = first.find("aor:acl");
    co_await first.bound(address, std::move(entry));
    CHECK(second.may_look_up(address, on.now()));
    CHECK_FALSE(second.may_look_up(address, on.now()));
    auto of_address = co_await second.look_up(on, address);
    CHECK(of_address == found);

    co_await first.end("a");
    CHECK(first.find("aor:acl") == nullptr);
    CHECK(store.values.empty());
    auto gone = co_await first.session("a");
    CHECK_FALSE(gone);
    CHECK(found->ended == false);  // of the other proxy, which hears nothing any more
  };
  test::run(loop, body(loop));
}

TEST_CASE("a goodbye at a proxy that did not make the session ends what is shared of it",
          "[webrtc]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    test::MemoryWebrtcStore store;
    Metrics metrics("1.0.0");
    Metrics other_metrics("1.0.0");
    WebrtcDirectory first(10, &store, metrics);
    WebrtcDirectory second(10, &store, other_metrics);
    auto announced = co_await first.announce(on, session_named("a"));
    REQUIRE(announced);
    co_await second.end("b");
    CHECK(store.values.size() == 2);
    co_await second.end("a");
    CHECK(store.values.empty());
  };
  test::run(loop, body(loop));
}

TEST_CASE("questions to the store are few, and none twice within a second", "[webrtc]") {
  test::MemoryWebrtcStore store;
  Metrics metrics("1.0.0");
  WebrtcDirectory directory(10, &store, metrics);
  const auto now = Clock::now();
  CHECK(directory.may_look_up("a:b", now));
  CHECK_FALSE(directory.may_look_up("a:b", now + 999ms));
  CHECK(directory.may_look_up("a:b", now + 1000ms));
  CHECK_FALSE(directory.may_look_up("", now + 1000ms));
  for (int i = 1; i < WebrtcDirectory::kLookUps; ++i)
    CHECK(directory.may_look_up("n:" + std::to_string(i), now + 1000ms));
  CHECK_FALSE(directory.may_look_up("one:more", now + 1000ms));
  CHECK(directory.may_look_up("one:more", now + 2000ms));

  Metrics alone("1.0.0");
  WebrtcDirectory without(10, nullptr, alone);
  CHECK_FALSE(without.may_look_up("a:b", now));
}

TEST_CASE("as many sessions as allowed, and not one more", "[webrtc]") {
  Metrics metrics("1.0.0");
  WebrtcDirectory directory(2, nullptr, metrics);
  const auto now = Clock::now();
  CHECK(directory.add(session_named("a"), now));
  CHECK(directory.add(session_named("b"), now));
  CHECK(directory.add(session_named("b"), now));  // new names of one that is there
  const auto third = directory.add(session_named("c"), now);
  REQUIRE_FALSE(third);
  CHECK(third.error().code == Errc::Limit);
}
