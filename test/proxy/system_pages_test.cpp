#include "proxy/system_pages.h"

#include <catch2/catch.hpp>

#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

const SystemPages::Identity kSelf{"weir-1", "8dh3", "77", "1.2.34"};

CidrList loopback() { return CidrList::parse("loopback").value(); }

SystemAnswer get(const SystemPages& pages, std::string_view target,
                 std::string_view method = "GET") {
  return pages.answer({.method = method, .target = target, .sender = "192.0.2.1"}, [] {
    return std::unexpected(refusal(500, "a page without a body read one"));
  });
}

SystemAnswer post(const SystemPages& pages, const std::string& body,
                  const std::string& sender = "127.0.0.1") {
  return pages.answer({.method = "POST", .target = "/api/v1/srs/register", .sender = sender},
                      [&]() -> std::expected<std::string, SystemAnswer> { return body; });
}

constexpr const char* kBeat =
    R"({"ip":"10.0.0.5","server":"o","service":"s","pid":"9","rtmp":["1935"]})";

SystemPages registering(std::function<Result<void>(const Registration&)> registered) {
  return {kSelf, loopback(), {.registered = std::move(registered)}};
}

}  // namespace

TEST_CASE("a heartbeat is taken and answered with our pid", "[system_pages]") {
  Registration taken;
  const auto pages = registering([&](const Registration& registration) -> Result<void> {
    taken = registration;
    return {};
  });
  const SystemAnswer answer = post(pages, kBeat);
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"code":0,"pid":"77"})");
  CHECK(taken.server == "o");
}

TEST_CASE("a refused heartbeat is told why", "[system_pages]") {
  Errc code = Errc::Denied;
  const auto pages = registering(
      [&](const Registration&) -> Result<void> { return fail(code, "field server: taken"); });
  CHECK(post(pages, kBeat).status == 403);
  CHECK(post(pages, kBeat).body == R"({"code":403,"error":"field server: taken"})");
  code = Errc::Limit;
  CHECK(post(pages, kBeat).status == 503);
  CHECK(post(pages, R"({"ip":"10.0.0.5"})").status == 400);
  CHECK(post(pages, R"({"ip":"10.0.0.5"})").body ==
        R"({"code":400,"error":"field server: missing"})");
}

TEST_CASE("only allowed addresses register, and others' bodies are not read", "[system_pages]") {
  const auto pages = registering([](const Registration&) -> Result<void> { return {}; });
  CHECK(post(pages, kBeat, "::ffff:127.0.0.1").status == 200);
  CHECK(post(pages, kBeat, "192.0.2.1").status == 403);
  const SystemAnswer unread = pages.answer(
      {.method = "POST", .target = "/api/v1/srs/register", .sender = "192.0.2.1"},
      []() -> std::expected<std::string, SystemAnswer> { throw std::runtime_error("read"); });
  CHECK(unread.status == 403);
}

TEST_CASE("without a handler there is no registration", "[system_pages]") {
  const SystemPages pages{kSelf, loopback(), {}};
  CHECK(post(pages, kBeat).status == 404);
}

TEST_CASE("the control API asks for its token, and nothing else does", "[system_pages]") {
  const SystemPages pages{kSelf,
                          loopback(),
                          {.registered = [](const Registration&) -> Result<void> { return {}; },
                           .metrics = [] { return std::string("up 1"); }},
                          "s3cret"};
  CHECK(get(pages, "/api/v1/versions").status == 401);
  CHECK(get(pages, "/metrics").status == 200);
  CHECK(get(pages, "/readyz").status == 200);
  CHECK(post(pages, kBeat).status == 200);
}

TEST_CASE("without a token only this machine changes anything", "[system_pages]") {
  int drains = 0;
  SystemPages::Handlers handlers;
  handlers.control.drain = [&] { ++drains; };
  const SystemPages pages{kSelf, loopback(), handlers};
  CHECK(get(pages, "/api/v1/versions").status == 200);
  CHECK(get(pages, "/api/v1/drain", "POST").status == 403);
  CHECK(drains == 0);
}

TEST_CASE("health and readiness give their reasons", "[system_pages]") {
  std::vector<std::string> reasons;
  const SystemPages pages{kSelf, loopback(), {.not_ready = [&] { return reasons; }}};
  CHECK(get(pages, "/healthz").status == 200);
  CHECK(get(pages, "/readyz").body == R"({"code":0})");
  reasons = {"no upstream is alive", "draining"};
  CHECK(get(pages, "/readyz").status == 503);
  CHECK(get(pages, "/readyz").body == R"({"code":503,"error":"no upstream is alive; draining"})");
}

TEST_CASE("the console is where there is one, and is only read", "[system_pages]") {
  SystemPages::Handlers handlers;
  handlers.console = [](const SystemRequest& request) {
    return SystemAnswer{.body = std::string(request.target)};
  };
  const SystemPages pages{kSelf, loopback(), handlers, "token"};
  for (const char* path : {"/", "/console", "/console/", "/console/app.js?x"})
    CHECK(get(pages, path).body == path);
  CHECK(get(pages, "/console/", "POST").status == 405);
  CHECK(get(pages, "/api/v1/events").status == 401);
  CHECK(get(SystemPages{kSelf, loopback(), {}}, "/console/").status == 404);
}

TEST_CASE("wrong methods and unknown pages get JSON errors", "[system_pages]") {
  const SystemPages pages = registering([](const Registration&) -> Result<void> { return {}; });
  CHECK(get(pages, "/api/v1/srs/register").status == 405);
  CHECK(get(pages, "/api/v1/srs/register").allow == "POST");
  CHECK(get(pages, "/healthz", "DELETE").status == 405);
  CHECK(get(pages, "/healthz", "HEAD").status == 200);
  CHECK(get(pages, "/metrics").status == 404);
  CHECK(get(pages, "/").body == R"({"code":404,"error":"no such resource"})");
  CHECK(get(pages, "").status == 404);
}

}  // namespace weir
