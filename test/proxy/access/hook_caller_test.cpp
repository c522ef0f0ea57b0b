#include "proxy/access/hook_caller.h"

#include <catch2/catch.hpp>

#include "test/proxy/http_relay_rig.h"
#include "test/support/on_a_loop.h"
#include "test/support/tls_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr milliseconds kTime{10'000};

HttpOrigin::Answer saying(std::string body) {
  return [body = std::move(body)](const http::Request&, const std::string&) {
    return http::simple_response(200, "application/json", body);
  };
}

HookUrl url_of(const HttpOrigin& server, const Certificate* authority = nullptr) {
  HookUrl url{{"127.0.0.1", server.port(), authority != nullptr}, "/on_play"};
  if (authority != nullptr)
    url.trust = std::make_shared<const TlsContext>(client_trusting(*authority));
  return url;
}

Task<std::string> outcome(HookCaller& caller, HookUrl url, milliseconds timeout = kTime) {
  auto said = co_await caller.post(std::move(url), "{}", timeout);
  if (!said) co_return std::string(name(said.error().code));
  co_return *said ? "yes" : "no";
}

Task<void> who_is_trusted_is_asked_over_tls(Loop& loop) {
  HookCaller caller(loop);
  HttpOrigin server(loop, saying("0"));
  server.tls = server_showing(papers().server);
  for (int i = 0; i < 3; ++i) {
    const std::string said = co_await outcome(caller, url_of(server, &papers().ca));
    CHECK(said == "yes");
  }
  CHECK(server.connections == 1);
  CHECK(server.requests.size() == 3);
  co_await end_all_others(loop);
}

Task<void> who_is_not_trusted_is_told_nothing(Loop& loop) {
  HookCaller caller(loop);
  HttpOrigin server(loop, saying("0"));
  server.tls = server_showing(papers().server);
  const std::string strange = co_await outcome(caller, url_of(server, &papers().stranger));
  CHECK(strange == "denied");
  HookUrl elsewhere = url_of(server, &papers().ca);
  elsewhere.endpoint.host = "localhost";
  const std::string misnamed = co_await outcome(caller, elsewhere);
  CHECK(misnamed == "denied");
  HookUrl nobody = url_of(server, &papers().ca);
  nobody.trust = nullptr;
  const std::string untold = co_await outcome(caller, nobody);
  CHECK(untold == "denied");
  server.tls = server_showing(papers().expired);
  const std::string late = co_await outcome(caller, url_of(server, &papers().ca));
  CHECK(late == "denied");
  CHECK(server.requests.empty());
  co_await end_all_others(loop);
}

Task<void> an_answer_is_as_long_as_it_may(Loop& loop) {
  HookCaller caller(loop);
  std::size_t size = HookCaller::kMaxAnswer;
  HttpOrigin server(loop, [&size](const auto&, const auto&) {
    return http::simple_response(200, "text/plain", "0" + std::string(size - 1, ' '));
  });
  const std::string at = co_await outcome(caller, url_of(server));
  CHECK(at == "yes");
  ++size;
  const std::string past = co_await outcome(caller, url_of(server));
  CHECK(past == "limit");
  co_await end_all_others(loop);
}

Task<void> count(HookCaller& caller, HookUrl url, milliseconds timeout, int& yes, int& no) {
  const std::string said = co_await outcome(caller, std::move(url), timeout);
  ++(said == "yes" ? yes : no);
}

Task<void> no_more_than_so_many_are_under_way(Loop& loop) {
  HookCaller caller(loop);
  int came = 0, yes = 0, no = 0;
  std::vector<std::unique_ptr<Socket>> held;
  const auto silent = listen_on(loop, [&](std::unique_ptr<Socket> socket) {
    ++came;
    held.push_back(std::move(socket));
  });
  const HookUrl url{{"127.0.0.1", silent->port()}, "/"};
  for (int i = 0; i < HookCaller::kAtOnce; ++i) loop.spawn(count(caller, url, kTime, yes, no));
  const bool all = co_await comes_true(loop, [&] { return came == HookCaller::kAtOnce; });
  CHECK(all);
  // One more waits for its turn, and no longer than for an answer.
  const std::string late = co_await outcome(caller, url, milliseconds(20));
  CHECK(late == "timeout");
  CHECK(came == HookCaller::kAtOnce);
  HttpOrigin server(loop, saying("0"));
  loop.spawn(count(caller, url_of(server), kTime, yes, no));
  held.clear();
  const bool over =
      co_await comes_true(loop, [&] { return no == HookCaller::kAtOnce && yes == 1; });
  CHECK(over);
  co_await end_all_others(loop);
}

Task<void> a_connection_that_waited_too_long_is_no_trouble(Loop& loop) {
  HookCaller caller(loop);
  HttpOrigin server(loop, saying("0"), HttpOrigin::Then::Close);
  for (int i = 0; i < 3; ++i) {
    const std::string said = co_await outcome(caller, url_of(server));
    CHECK(said == "yes");
  }
  CHECK(server.connections == 3);
  co_await end_all_others(loop);
}

}  // namespace

TEST_CASE("a callback over TLS is asked over one connection", "[access]") {
  on_a_loop(who_is_trusted_is_asked_over_tls);
}

TEST_CASE("a callback that cannot prove who it is hears nothing of clients", "[access]") {
  on_a_loop(who_is_not_trusted_is_told_nothing);
}

TEST_CASE("a callback's answer is bounded", "[access]") {
  on_a_loop(an_answer_is_as_long_as_it_may);
}

TEST_CASE("so many questions are under way and the next one waits", "[access]") {
  on_a_loop(no_more_than_so_many_are_under_way);
}

TEST_CASE("a callback may close its connections whenever it likes", "[access]") {
  on_a_loop(a_connection_that_waited_too_long_is_no_trouble);
}
