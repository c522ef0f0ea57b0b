#include "proxy/stream_search.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "proxy/routing.h"
#include "proxy/srs_streams.h"
#include "test/proxy/routing_fixture.h"
#include "test/support/loopback.h"
#include "test/support/quiet_log.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

using Keys = std::vector<std::string>;

std::string entry(const std::string& app, const std::string& name, bool active,
                  const std::string& tc_url) {
  return fmt::format(
      R"({{"id":"vid-1","name":"{}","vhost":"vid-0x1","app":"{}","tcUrl":"{}","url":"/{}/{}",)"
      R"("clients":2,"publish":{{"active":{},"cid":"c1"}},"video":null}})",
      name, app, tc_url, app, name, active);
}

std::string list_of(const std::vector<std::string>& entries) {
  return fmt::format(R"({{"code":0,"server":"vid-1","streams":[{}]}})", fmt::join(entries, ","));
}

std::string list_with(const std::string& stream) {
  return list_of({entry("live", stream, true, "rtmp://127.0.0.1/live")});
}

// An SRS that knows one page, or says nothing.
struct Api {
  Api(Loop& loop, std::string body, int status = 200)
      : listener(listen_on(loop, [this, body, status](std::unique_ptr<Socket> socket) {
          ++asked;
          Loop& on = socket->loop();
          if (status == 0)
            silent.push_back(std::move(socket));
          else
            on.spawn(answer(std::move(socket), body, status));
        })) {}
  Task<void> answer(std::unique_ptr<Socket> socket, std::string body, int status) {
    std::array<std::uint8_t, 1000> buffer{};
    auto got = co_await socket->read(buffer, socket->loop().in(kPatience));
    if (!got) co_return;
    request.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
    const std::string text =
        fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\n\r\n{}", status, body);
    const ByteView bytes{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    static_cast<void>(co_await socket->write(bytes, socket->loop().in(kPatience)));
  }
  std::vector<std::unique_ptr<Socket>> silent;
  std::string request;
  int asked = 0;
  std::unique_ptr<Listener> listener;
};

Router router_to(const std::vector<std::uint16_t>& apis) {
  Router router;
  for (std::size_t i = 0; i < apis.size(); ++i) {
    Upstream upstream = configured(fmt::format("o{}", i + 1), i == 0 ? 1 : 0);
    if (apis[i] != 0) upstream.at(Protocol::Api) = {{"127.0.0.1", apis[i]}};
    INVARIANT(router.configure(std::move(upstream)));
  }
  return router;
}

std::vector<std::uint16_t> three(const Api& first, const Api& second, const Api& third) {
  return {first.listener->port(), second.listener->port(), third.listener->port()};
}
std::vector<std::uint16_t> no_api() { return {0, 0}; }

}  // namespace

TEST_CASE("streams that are published are found in SRS's list", "[stream_search]") {
  const auto keys = published_in(
      list_of({entry("live", "a", true, "rtmp://10.0.0.1/live"),
               entry("live", "idle", false, "rtmp://10.0.0.1/live"),
               entry("live", "b", true, "rtmp://A.org/live"),
               entry("live", "c", true, "rtmp://10.0.0.1/live?vhost=b.org"),
               entry("", "", true, ""), entry("live", "..", true, "rtmp://10.0.0.1/live"), "7",
               R"({"name":"x","app":"live"})", R"({"name":1,"app":2,"publish":{"active":true}})"}));
  REQUIRE(keys);
  CHECK(*keys == Keys{"__defaultVhost__/live/a", "a.org/live/b", "b.org/live/c"});
}

TEST_CASE("what is no list of streams is an error", "[stream_search]") {
  for (const char* body : {"", "7", "[]", "{}", R"({"streams":1})", R"({"streams":[)"})
    CHECK(published_in(body).error().code == Errc::Protocol);
  std::string deep = R"({"streams":[)";
  for (int i = 0; i < 100; ++i) deep += "[";
  CHECK(published_in(deep).error().code == Errc::Protocol);
  std::string body = list_of({});
  body.resize(kMaxSrsStreamsBody, ' ');
  CHECK(published_in(body));
  CHECK(published_in(body + " ").error().code == Errc::Limit);
}

TEST_CASE("each API is asked once however many look, and the stream is found", "[stream_search]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Api without(on, list_of({}));
    Api with(on, list_with("a"));
    Api broken(on, "no JSON");
    const Router router = router_to(three(without, with, broken));
    StreamSearch search(on, router.registry());
    CHECK(search.possible());
    Keys found;
    auto look = [](StreamSearch& in, std::string key, Keys& to) -> Task<void> {
      auto home = co_await in.find(std::move(key));
      to.push_back(home.value_or("nowhere"));
    };
    for (int i = 0; i < 5; ++i) on.spawn(look(search, "__defaultVhost__/live/a", found));
    on.spawn(look(search, "__defaultVhost__/live/b", found));
    auto all = co_await comes_true(on, [&] { return found.size() == 6; });
    CHECK(all);
    CHECK(std::ranges::count(found, "o2") == 5);
    CHECK(std::ranges::count(found, "nowhere") == 1);
    CHECK(with.asked == 1);
    CHECK(with.request.starts_with("GET /api/v1/streams/?start=0&count=1000 HTTP/1.1\r\n"));
    co_await end_all_others(on);
  };
  const QuietLog quiet;
  run(loop, body(loop));
}

TEST_CASE("an API that does not answer costs no more than the patience", "[stream_search]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Api silent(on, "", 0);
    Api wrong(on, list_with("a"), 500);
    Api with(on, list_with("a"));
    const Router router = router_to(three(silent, wrong, with));
    StreamSearch search(on, router.registry(), {.patience = 50ms, .fresh = kPatience});
    auto home = co_await search.find("__defaultVhost__/live/a");
    CHECK(home == "o3");
    home = co_await search.find("__defaultVhost__/live/a");
    CHECK(home == "o3");
    CHECK(with.asked == 1);
    co_await end_all_others(on);
  };
  const QuietLog quiet;
  run(loop, body(loop));
}

TEST_CASE("a stream without a route is located, one with a route is not looked for",
          "[stream_search]") {
  Loop loop;
  auto body = [](Loop& on) -> Task<void> {
    Api without(on, list_of({}));
    Api with(on, list_with("a"));
    Api empty(on, list_of({}));
    Metrics metrics("test");
    Routing routing(on, router_to(three(without, with, empty)), metrics);
    Child keeping(on);
    keeping.start(routing.run());
    co_await Turn{on};
    co_await routing.locate("__defaultVhost__/live/a");
    std::vector<std::string> nobody;
    auto route = co_await routing.route("__defaultVhost__/live/a", Protocol::Rtmp, nobody);
    CHECK(route);
    if (route) CHECK(route->upstream->id == "o2");
    co_await routing.locate("__defaultVhost__/live/b");
    route = co_await routing.route("__defaultVhost__/live/b", Protocol::Rtmp, nobody);
    if (route) CHECK(route->upstream->id == "o1");
    CHECK(with.asked == 1);
    on.cancel_all();
    co_await keeping.join();
    co_await end_all_others(on);
  };
  const QuietLog quiet;
  run(loop, body(loop));
}

TEST_CASE("without an API nobody is asked", "[stream_search]") {
  Loop loop;
  const Router router = router_to(no_api());
  StreamSearch search(loop, router.registry());
  CHECK_FALSE(search.possible());
}
