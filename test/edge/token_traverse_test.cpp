#include "edge/token_traverse.h"

#include <catch2/catch.hpp>

#include "test/proxy/http_relay_rig.h"
#include "test/support/on_a_loop.h"
#include "test/support/rtmp_peers.h"

using namespace weir;
using namespace weir::test;

namespace {

// Answers play with one onStatus, or ends the connection instead.
class RtmpUpstream {
 public:
  RtmpUpstream(Loop& loop, std::string level, std::string code)
      : loop_(loop), level_(std::move(level)), code_(std::move(code)) {
    listener_ = listen_on(
        loop, [this](std::unique_ptr<Socket> socket) { loop_.spawn(serve(std::move(socket))); });
  }
  std::uint16_t port() const { return listener_->port(); }

  std::string asked;             // the stream, as it was named
  bool refuses_connect = false;  // by _error

 private:
  Task<void> serve(std::unique_ptr<Socket> socket) {
    Connection client(std::move(socket), rtmp::ReaderLimits{});
    ServerHabits habits;
    if (refuses_connect)
      habits.answer = [](const Words& command) -> std::optional<std::vector<Words>> {
        if (command.name() != "connect") return std::nullopt;
        const Values refusal{"_error", command.transaction(), nullptr,
                             info("error", "NetConnection.Connect.Rejected")};
        return std::vector<Words>{Words{.values = refusal}};
      };
    std::vector<Words> heard;
    const Words play = co_await serve_by_habit(client, habits, heard);
    if (play.values.size() > 3) asked = play[3].text();
    if (code_.empty() || play.values.empty()) co_return;
    Words verdict{.values = {"onStatus", 0, nullptr, info(level_, code_)}};
    verdict.stream_id = play.stream_id;
    say(client, verdict);
    auto sent = co_await client.flush(loop_.in(kPatience));
    if (sent) co_await hear_the_end(client);
  }

  Loop& loop_;
  std::string level_, code_;
  std::unique_ptr<Listener> listener_;
};

struct Ports {
  std::uint16_t rtmp = 0;  // 0: not offered
  std::uint16_t http = 0;
};

class Rig {
 public:
  Rig(Loop& loop, Ports ports)
      : routing_(loop, router(ports), metrics_),
        resolver_(loop),
        relay_(loop, routing_, resolver_, {}, HttpRelayTallies::of(metrics_)),
        traverse_({loop, options_, routing_, resolver_, relay_}) {
    options_.node_id = "edge";
  }

  Task<std::string> verdict(AccessRequest request) {
    auto refusal = co_await traverse_.ask(std::move(request));
    co_return refusal ? std::string(name(refusal->reason)) : "yes";
  }

 private:
  static Router router(const Ports& ports) {
    Upstream upstream;
    upstream.id = "o";
    if (ports.rtmp != 0) upstream.at(Protocol::Rtmp).push_back({"127.0.0.1", ports.rtmp});
    if (ports.http != 0) upstream.at(Protocol::Http).push_back({"127.0.0.1", ports.http});
    Router made;
    INVARIANT(made.configure(std::move(upstream)));
    return made;
  }

  Metrics metrics_{"test"};
  Routing routing_;
  Resolver resolver_;
  EdgeOptions options_;
  HttpRelay relay_;
  TokenTraverse traverse_;
};

AccessRequest asked_over(std::string_view protocol) {
  AccessRequest request{.protocol = protocol,
                        .key = "__defaultVhost__/live/cam",
                        .names = {"/live/cam"},
                        .peer = *Address::parse("192.0.2.7", 4000),
                        .query = "token=x",
                        .id = "c1"};
  if (protocol == "http") request.target = "/live/cam.m3u8?token=x";
  return request;
}

std::string response(int status) { return http::simple_response(status, "text/plain", "words"); }

Task<void> statuses_are_verdicts(Loop& loop) {
  int status = 200;
  HttpOrigin upstream(loop, [&status](const auto&, const auto&) { return response(status); });
  Rig rig(loop, {.http = upstream.port()});
  for (const auto& [said, expected] :
       std::vector<std::pair<int, std::string>>{{200, "yes"},
                                                {302, "yes"},
                                                {404, "yes"},  // whoever serves it finds out
                                                {401, "upstream"},
                                                {403, "upstream"},
                                                {500, "upstream_down"}}) {
    status = said;
    const std::string verdict = co_await rig.verdict(asked_over("http"));
    CHECK(verdict == expected);
  }
  co_await end_all_others(loop);
}

Task<void> the_viewer_s_own_words_are_passed_on(Loop& loop) {
  HttpOrigin upstream(loop, [](const auto&, const auto&) { return response(200); });
  Rig rig(loop, {.http = upstream.port()});
  AccessRequest request = asked_over("http");
  request.key = "a.org/live/cam";
  request.query = "_HLS_msn=7&token=x&_HLS_part=1&b=c";
  request.target = "/live/cam.m3u8?" + request.query;
  request.authorization = "Bearer y";
  request.page_url = "http://page/";
  const std::string verdict = co_await rig.verdict(request);
  CHECK(verdict == "yes");
  REQUIRE(upstream.requests.size() == 1);
  const http::Request& asked = upstream.requests[0];
  CHECK(asked.target == "/live/cam.m3u8?token=x&b=c");
  CHECK(asked.headers.find("Host") == "a.org");
  CHECK(asked.headers.find("Authorization") == "Bearer y");
  CHECK(asked.headers.find("Referer") == "http://page/");
  co_await end_all_others(loop);
}

Task<void> codes_are_verdicts(Loop& loop) {
  struct Case {
    const char *level, *code, *expected;
  };
  for (const Case& each : std::vector<Case>{{"status", "NetStream.Play.Start", "yes"},
                                            {"error", "NetStream.Play.StreamNotFound", "yes"},
                                            {"error", "NetStream.Play.Failed", "upstream"},
                                            {"", "", "upstream"}}) {
    RtmpUpstream upstream(loop, each.level, each.code);
    Rig rig(loop, {.rtmp = upstream.port()});
    const std::string verdict = co_await rig.verdict(asked_over("rtmp"));
    CHECK(verdict == each.expected);
    CHECK(upstream.asked == "cam?token=x");
  }
  RtmpUpstream shut(loop, "status", "NetStream.Play.Start");
  shut.refuses_connect = true;
  Rig rig(loop, {.rtmp = shut.port()});
  const std::string verdict = co_await rig.verdict(asked_over("rtmp"));
  CHECK(verdict == "upstream");
  co_await end_all_others(loop);
}

Task<void> the_other_protocol_stands_in(Loop& loop) {
  HttpOrigin over_http(loop, [](const auto&, const auto&) { return response(403); });
  Rig no_rtmp(loop, {.http = over_http.port()});
  std::string verdict = co_await no_rtmp.verdict(asked_over("rtmp"));
  CHECK(verdict == "upstream");
  REQUIRE(over_http.requests.size() == 1);
  CHECK(over_http.requests[0].target == "/live/cam.flv?token=x");
  RtmpUpstream over_rtmp(loop, "error", "NetStream.Play.Failed");
  Rig no_http(loop, {.rtmp = over_rtmp.port()});
  verdict = co_await no_http.verdict(asked_over("http"));
  CHECK(verdict == "upstream");
  CHECK(over_rtmp.asked == "cam?token=x");
  co_await end_all_others(loop);
}

Task<void> nobody_is_no_yes(Loop& loop) {
  const RefusingPort nobody;
  Rig rig(loop, {.rtmp = nobody.port(), .http = nobody.port()});
  for (const char* protocol : {"rtmp", "http"}) {
    const std::string verdict = co_await rig.verdict(asked_over(protocol));
    CHECK(verdict == "upstream_down");
  }
  co_await end_all_others(loop);
}

}  // namespace

TEST_CASE("an upstream's status says whether a viewer may", "[access]") {
  on_a_loop(statuses_are_verdicts);
}

TEST_CASE("upstream is asked what the viewer asked, without what would hold its answer back",
          "[access]") {
  on_a_loop(the_viewer_s_own_words_are_passed_on);
}

TEST_CASE("an upstream's verdict on play says whether a viewer may", "[access]") {
  on_a_loop(codes_are_verdicts);
}

TEST_CASE("an upstream is asked over what it offers", "[access]") {
  on_a_loop(the_other_protocol_stands_in);
}

TEST_CASE("without an upstream that answers nobody says yes", "[access]") {
  on_a_loop(nobody_is_no_yes);
}
