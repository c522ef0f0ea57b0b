#include "proxy/access/access.h"

#include <catch2/catch.hpp>

#include "test/proxy/access/access_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

using Events = std::vector<std::string>;

Task<std::string> verdict(AccessRig& rig, AccessRequest request) {
  auto permit = co_await rig.access.may(std::move(request));
  co_return permit ? "yes" : std::string(name(permit.error().reason));
}

Task<std::string> fetch(AccessRig& rig, AccessRequest request) {
  auto look = rig.access.look(request);
  if (!look) co_return std::string(name(look.error().reason));
  if (*look == Access::Look::Allowed) co_return "known";
  auto allowed = co_await rig.access.may_fetch(std::move(request));
  co_return allowed ? "asked" : std::string(name(allowed.error().reason));
}

AccessRequest segment() {
  AccessRequest request = AccessRig::play("http");
  request.target = "/live/cam-1.ts";
  request.names = {"/live/cam-1", "/live/cam"};
  return request;
}

Task<void> nobody_is_asked(Loop& loop) {
  AccessRig rig(loop);
  CHECK(Access::here() == &rig.access);
  CHECK(Access::current() == nullptr);
  AccessOptions options;
  options.viewers_per_stream = 1;
  rig.apply(options, false);
  CHECK(Access::current() == &rig.access);
  rig.apply({}, false);
  CHECK(Access::current() == nullptr);
  co_await end_all_others(loop);
}

Task<void> a_session_is_asked_about_and_told(Loop& loop) {
  AccessRig rig(loop);
  rig.apply({});
  {
    auto permit = co_await rig.access.may(AccessRig::play("rtmp", "token=x"));
    REQUIRE(permit);
    CHECK(rig.events() == Events{"on_connect", "on_play"});
    CHECK(rig.asked[1].find(R"("param":"?token=x")") != std::string::npos);
    permit->count({.received = 3, .sent = 4});
  }
  {
    const bool came = co_await comes_true(loop, [&] { return rig.asked.size() == 4; });
    CHECK(came);
  }
  CHECK(rig.events() == Events{"on_connect", "on_play", "on_stop", "on_close"});
  CHECK(rig.asked[3].find(R"("send_bytes":4,"recv_bytes":3)") != std::string::npos);
  CHECK(rig.hooks.connections <= 2);
  auto other = co_await rig.access.may(AccessRig::play("srt"));
  CHECK(rig.events().back() == "on_play");
  co_await end_all_others(loop);
}

Task<void> a_no_is_final(Loop& loop) {
  AccessRig rig(loop);
  rig.apply({});
  rig.answer = [](const http::Request& request) {
    const bool play = request.target == "/on_play";
    return http::simple_response(play ? 403 : 200, "text/plain", play ? "no" : "0");
  };
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "hook");
  }
  // The connection that had been granted has ended with that.
  {
    const bool came = co_await comes_true(loop, [&] { return rig.asked.size() == 3; });
    CHECK(came);
  }
  CHECK(rig.events() == Events{"on_connect", "on_play", "on_close"});
  CHECK(rig.refused("hook") == 1);
  co_await end_all_others(loop);
}

Task<void> silence_is_a_refusal_unless_the_operator_says_else(Loop& loop) {
  AccessRig rig(loop);
  const RefusingPort nobody;
  AccessOptions options;
  options.hooks.retries = 2;
  options.hooks.urls[static_cast<std::size_t>(HookEvent::Play)] = {
      {{"127.0.0.1", nobody.port()}, "/"}};
  rig.apply(options, false);
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "hook_down");
  }
  options.hooks.allow_when_down = true;
  rig.apply(options, false);
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "yes");
  }
  // A broken server is asked again, and then is as good as none.
  AccessOptions broken;
  broken.hooks.retries = 2;
  rig.apply(broken);
  rig.answer = [](const http::Request&) { return http::simple_response(500, "text/plain", "0"); };
  {
    const std::string said = co_await verdict(rig, AccessRig::play("srt"));
    CHECK(said == "hook_down");
  }
  CHECK(rig.events() == Events{"on_play", "on_play", "on_play"});
  co_await end_all_others(loop);
}

Task<void> each_url_of_an_event_has_a_say(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  const Endpoint at{"127.0.0.1", rig.hooks.port()};
  options.hooks.urls[static_cast<std::size_t>(HookEvent::Play)] = {
      {at, "/a"}, {at, "/b"}, {at, "/c"}};
  rig.apply(options, false);
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "yes");
  }
  CHECK(rig.events() == Events{"a", "b", "c"});
  rig.answer = [](const http::Request& request) {
    return http::simple_response(200, "text/plain", request.target == "/b" ? "1" : "0");
  };
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "hook");
  }
  CHECK(rig.events() == Events{"a", "b", "c", "a", "b"});
  co_await end_all_others(loop);
}

Task<void> ends_are_told_again_until_somebody_hears(Loop& loop) {
  AccessRig rig(loop);
  rig.apply({});
  int told = 0;
  rig.answer = [&told](const http::Request& request) {
    const bool fails = request.target == "/on_stop" && ++told < 3;
    return http::simple_response(fails ? 503 : 200, "text/plain", "0");
  };
  {
    auto permit = co_await rig.access.may(AccessRig::play("srt"));
  }
  {
    const bool came = co_await comes_true(loop, [&] { return told == 3; });
    CHECK(came);
  }
  co_await end_all_others(loop);
}

Task<void> ends_that_nobody_hears_are_bounded(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.hooks.queue = 3;
  rig.apply(options);
  rig.answer = [](const http::Request& request) {
    const bool ends = request.target == "/on_stop";
    return http::simple_response(ends ? 503 : 200, "text/plain", "0");
  };
  std::vector<Grant> grants;
  for (int i = 0; i < HookNotices::kTellers + 5; ++i) {
    auto permit = co_await rig.access.may(AccessRig::play("srt"));
    grants.push_back(std::move(*permit));
  }
  grants.clear();
  // kTellers are being told, three wait, and two are lost.
  auto& dropped = rig.metrics.counter("weir_hook_notices_dropped_total",
                                      "Clients whose end no callback could be told.");
  CHECK(dropped.Value() == 2);
  CHECK(rig.access.take_notices().size() == 3);
  co_await end_all_others(loop);
}

Task<void> ends_are_told_for_so_long(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.hooks.keep = milliseconds(0);
  rig.apply(options);
  rig.answer = [](const http::Request& request) {
    const bool ends = request.target == "/on_stop";
    return http::simple_response(ends ? 503 : 200, "text/plain", "0");
  };
  {
    auto permit = co_await rig.access.may(AccessRig::play("srt"));
    CHECK(permit);
  }
  auto& dropped = rig.metrics.counter("weir_hook_notices_dropped_total",
                                      "Clients whose end no callback could be told.");
  const bool given_up = co_await comes_true(loop, [&] { return dropped.Value() == 1; });
  CHECK(given_up);
  CHECK(rig.events() == Events{"on_play", "on_stop"});
  co_await end_all_others(loop);
}

Task<void> long_credentials_are_told_apart(Loop& loop) {
  AccessRig rig(loop);
  rig.apply({});
  for (const std::size_t size : {Access::kLongestKey / 2, Access::kLongestKey, std::size_t{8000}}) {
    const std::string token = "token=" + std::string(size, 'x');
    std::vector<std::string> said;
    for (const char* last : {"a", "a", "b"}) {
      const AccessRequest request = AccessRig::play("http", token + last);
      std::string one = co_await fetch(rig, request);
      said.push_back(std::move(one));
    }
    CHECK(said == std::vector<std::string>{"asked", "known", "asked"});
  }
  co_await end_all_others(loop);
}

Task<void> seats_are_limited(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.viewers_per_stream = 2;
  rig.apply(options, false);
  auto one = co_await rig.access.may(AccessRig::play());
  auto two = co_await rig.access.may(AccessRig::play("flv"));
  CHECK((one && two));
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "viewers");
  }
  AccessRequest publisher = AccessRig::play();
  publisher.action = AccessAction::Publish;
  {
    const std::string said = co_await verdict(rig, publisher);
    CHECK(said == "yes");
  }
  AccessRequest other = AccessRig::play();
  other.key += "2";
  {
    const std::string said = co_await verdict(rig, other);
    CHECK(said == "yes");
  }
  *one = Grant();
  {
    const std::string said = co_await verdict(rig, AccessRig::play());
    CHECK(said == "yes");
  }
  co_await end_all_others(loop);
}

Task<void> a_player_of_files_is_asked_about_once(Loop& loop) {
  AccessRig rig(loop);
  rig.apply({});
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", "token=x"));
    CHECK(said == "asked");
  }
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", "token=x&_HLS_msn=4"));
    CHECK(said == "known");
  }
  {
    const std::string said = co_await fetch(rig, segment());
    CHECK(said == "known");
  }
  AccessRequest elsewhere = segment();
  elsewhere.names = {"/live/other"};
  elsewhere.peer = *Address::parse("192.0.2.8", 1);
  {
    const std::string said = co_await fetch(rig, elsewhere);
    CHECK(said == "asked");
  }
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", "token=y"));
    CHECK(said == "asked");
  }
  CHECK(rig.events() == Events{"on_play", "on_play", "on_play"});
  rig.shared.verdicts.clear();
  {
    const bool came = co_await comes_true(loop, [&] { return rig.asked.size() == 6; });
    CHECK(came);
  }
  CHECK(rig.events().back() == "on_stop");
  co_await end_all_others(loop);
}

Task<void> what_was_shown_once_holds_for_a_while_at_that_address(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.rules.play.show = AccessRules::Show::Signature;
  options.rules.secrets = {"a secret of ours"};
  rig.apply(options, false);
  const std::string query =
      "expires=99999999999&sig=" +
      url_signature(options.rules.secrets[0], AccessAction::Play, "/live/cam", 99999999999);
  {
    const std::string said = co_await fetch(rig, segment());
    CHECK(said == "no_token");
  }
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", query));
    CHECK(said == "known");
  }
  {
    const std::string said = co_await fetch(rig, segment());
    CHECK(said == "known");
  }
  AccessRequest other = segment();
  other.peer = *Address::parse("192.0.2.8", 1);
  {
    const std::string said = co_await fetch(rig, other);
    CHECK(said == "no_token");
  }
  other = segment();
  other.names = {"/live/cam2"};
  {
    const std::string said = co_await fetch(rig, other);
    CHECK(said == "no_token");
  }
  // Who shows something wrong is not helped by that, nor is who would publish.
  AccessRequest wrong = segment();
  wrong.query = "sig=1&expires=2";
  {
    const std::string said = co_await fetch(rig, wrong);
    CHECK(said == "bad_token");
  }
  options.remember = milliseconds(0);
  rig.apply(options, false);
  rig.shared.verdicts.clear();
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", query));
    CHECK(said == "known");
  }
  {
    const std::string said = co_await fetch(rig, segment());
    CHECK(said == "no_token");
  }
  co_await end_all_others(loop);
}

Task<void> a_grant_knows_its_end_where_that_counts(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.rules.play.show = AccessRules::Show::Signature;
  options.rules.secrets = {"a secret of ours"};
  const std::string query =
      "expires=99999999999&sig=" +
      url_signature(options.rules.secrets[0], AccessAction::Play, "/live/cam", 99999999999);
  for (const bool counts : {false, true}) {
    options.end_at_expiry = counts;
    rig.apply(options, false);
    auto permit = co_await rig.access.may(AccessRig::play("rtmp", query));
    REQUIRE(permit);
    const Grant kept = std::move(*permit);
    CHECK(kept.expires() == (counts ? 99999999999 : 0));
    Grant assigned;
    CHECK(assigned.expires() == 0);
  }
  co_await end_all_others(loop);
}

Task<std::optional<AccessRefusal>> say(std::optional<AccessRefusal> what, int& asked, Loop& loop) {
  ++asked;
  for (int i = 0; i < 5; ++i) co_await Turn{loop};
  co_return what;
}

Task<void> count_yes(AccessRig& rig, int& yes, int& done) {
  auto permit = co_await rig.access.may(AccessRig::play("rtmp", "token=x"));
  yes += permit ? 1 : 0;
  ++done;
}

Task<void> upstream_is_asked_once_for_all_who_come_together(Loop& loop) {
  AccessRig rig(loop);
  AccessOptions options;
  options.traverse = true;
  int asked = 0, yes = 0, done = 0;
  std::optional<AccessRefusal> answer;
  rig.access.ask_upstream_with([&](AccessRequest) { return say(answer, asked, loop); });
  rig.apply(options, false);
  for (int i = 0; i < 10; ++i) loop.spawn(count_yes(rig, yes, done));
  {
    const bool came = co_await comes_true(loop, [&] { return done == 10; });
    CHECK(came);
  }
  CHECK((asked == 1 && yes == 10));
  {
    const std::string said = co_await verdict(rig, AccessRig::play("rtmp", "token=x"));
    CHECK(said == "yes");
  }
  CHECK(asked == 1);
  {
    const std::string said = co_await fetch(rig, AccessRig::play("http", "token=x"));
    CHECK(said == "known");
  }
  answer = AccessRefusal{AccessReason::Upstream, "no"};
  {
    const std::string said = co_await verdict(rig, AccessRig::play("rtmp", "token=y"));
    CHECK(said == "upstream");
  }
  {
    const std::string said = co_await verdict(rig, AccessRig::play("flv", "token=y"));
    CHECK(said == "upstream");
  }
  CHECK(asked == 2);
  answer = AccessRefusal{AccessReason::UpstreamDown, "?"};
  {
    const std::string said = co_await verdict(rig, AccessRig::play("rtmp", "token=z"));
    CHECK(said == "upstream_down");
  }
  options.traverse_allow_when_down = true;
  rig.apply(options, false);
  {
    const std::string said = co_await verdict(rig, AccessRig::play("rtmp", "token=z"));
    CHECK(said == "yes");
  }
  co_await end_all_others(loop);
}

}  // namespace

TEST_CASE("where nothing is restricted nobody is asked", "[access]") { on_a_loop(nobody_is_asked); }

TEST_CASE("callbacks are asked about a session and told of its end, in their order", "[access]") {
  on_a_loop(a_session_is_asked_about_and_told);
}

TEST_CASE("a callback's no refuses, and what was granted before ends", "[access]") {
  on_a_loop(a_no_is_final);
}

TEST_CASE("callbacks that do not answer refuse, unless they are to be passed over", "[access]") {
  on_a_loop(silence_is_a_refusal_unless_the_operator_says_else);
}

TEST_CASE("all URLs of an event must say yes, and none is asked after a no", "[access]") {
  on_a_loop(each_url_of_an_event_has_a_say);
}

TEST_CASE("the end of a session is told again while a callback fails", "[access]") {
  on_a_loop(ends_are_told_again_until_somebody_hears);
}

TEST_CASE("ends that cannot be told wait in a bounded queue", "[access]") {
  on_a_loop(ends_that_nobody_hears_are_bounded);
}

TEST_CASE("the end of a session is told for so long and then given up", "[access]") {
  on_a_loop(ends_are_told_for_so_long);
}

TEST_CASE("what two clients show is told apart, however long it is", "[access]") {
  on_a_loop(long_credentials_are_told_apart);
}

TEST_CASE("a stream has as many viewers as it may and no more", "[access]") {
  on_a_loop(seats_are_limited);
}

TEST_CASE("a player of playlists is asked about once and not for each file", "[access]") {
  on_a_loop(a_player_of_files_is_asked_about_once);
}

TEST_CASE("segments need no signature for a while after their playlist had one", "[access]") {
  on_a_loop(what_was_shown_once_holds_for_a_while_at_that_address);
}

TEST_CASE("a grant says when it ends if sessions are to end with it", "[access]") {
  on_a_loop(a_grant_knows_its_end_where_that_counts);
}

TEST_CASE("upstream is asked once for the same stream and arguments", "[access]") {
  on_a_loop(upstream_is_asked_once_for_all_who_come_together);
}
