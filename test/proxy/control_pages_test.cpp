#include "proxy/control_pages.h"

#include <Poco/JSON/Parser.h>

#include <catch2/catch.hpp>

#include "proxy/control_json.h"
#include "test/proxy/routing_fixture.h"

namespace weir {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

const NodeIdentity kSelf{"weir-1", "8dh3", "77", "1.2.34"};

SystemAnswer ask(const ControlPages& pages, std::string_view target,
                 std::string_view method = "GET") {
  return pages.answer({.method = method, .target = target, .sender = "127.0.0.1"});
}

Object::Ptr json(const SystemAnswer& answer) {
  INFO(answer.body);
  CHECK(answer.status == 200);
  return Poco::JSON::Parser().parse(answer.body).extract<Object::Ptr>();
}

SessionState session(const std::string& id, SessionKind kind = SessionKind::Play) {
  return {.id = id,
          .facts = {.kind = kind,
                    .protocol = "rtmp",
                    .stream = "__defaultVhost__/live/cam",
                    .peer = *Address::parse("192.0.2.7", 4711),
                    .agent = "LNX 9,0"},
          .age = milliseconds{1500},
          .traffic = {.received = 10, .sent = 2000},
          .rate = {.received_kbps = 0.4, .sent_kbps = 999.6}};
}

StreamView stream(std::string key) {
  StreamView view{.key = std::move(key), .report = std::nullopt, .upstream = "a"};
  view.sessions.publisher = {"cid1", "rtmp"};
  view.sessions.viewers = {{"flv", 2}, {"rtmp", 1}};
  view.sessions.publishing = {.received = 500, .sent = 1};
  view.sessions.playing = {.received = 3, .sent = 700};
  view.sessions.publishing_rate = {.received_kbps = 1000.25, .sent_kbps = 0};
  view.sessions.playing_rate = {.received_kbps = 0, .sent_kbps = 3000};
  return view;
}

ControlHandlers streams_of(std::vector<StreamView> views) {
  ControlHandlers handlers;
  handlers.streams = [views] { return Result<std::vector<StreamView>>(views); };
  return handlers;
}

// Pages through `total` clients named c0, c1, ...
ControlHandlers clients_of(std::size_t total, std::string* asked = nullptr) {
  ControlHandlers handlers;
  handlers.clients = [total, asked](std::size_t start, std::size_t count,
                                    const std::string& key) -> Result<SessionDirectory::Page> {
    if (asked != nullptr) *asked = key;
    SessionDirectory::Page page{.total = total, .sessions = {}};
    for (std::size_t i = start; i < total && i - start < count; ++i)
      page.sessions.push_back(session("c" + std::to_string(i)));
    return page;
  };
  handlers.client = [](const std::string& id) -> Result<SessionState> {
    if (id != "c0") return fail(Errc::NotFound, "no such client");
    return session(id);
  };
  return handlers;
}

}  // namespace

TEST_CASE("the version is told in SRS's shape", "[control_pages]") {
  const ControlPages pages{kSelf, {}};
  CHECK(ask(pages, "/api/v1/versions?x=1").body ==
        R"({"code":0,"server":"weir-1","service":"8dh3","pid":"77",)"
        R"("data":{"major":1,"minor":2,"revision":34,"version":"1.2.34"}})");
}

TEST_CASE("clients are shown as SRS shows them, and with more", "[control_pages]") {
  const ControlPages pages{kSelf, clients_of(1)};
  const auto client = json(ask(pages, "/api/v1/clients/c0"))->getObject("client");
  CHECK(client->getValue<std::string>("id") == "c0");
  CHECK(client->getValue<std::string>("ip") == "192.0.2.7");
  CHECK(client->getValue<int>("port") == 4711);
  CHECK(client->getValue<std::string>("type") == "rtmp-play");
  CHECK(client->getValue<std::string>("name") == "cam");
  CHECK(client->getValue<std::string>("url") == "/live/cam");
  CHECK(client->getValue<std::string>("stream") == control_id("__defaultVhost__/live/cam"));
  CHECK(client->getValue<bool>("publish") == false);
  CHECK(client->getValue<double>("alive") == 1.5);
  CHECK(client->getValue<int>("send_bytes") == 2000);
  CHECK(client->getObject("kbps")->getValue<int>("send_30s") == 1000);
  CHECK(to_json(session("p", SessionKind::Publish))->getValue<std::string>("type") ==
        "fmle-publish");
  CHECK(ask(pages, "/api/v1/clients/nobody").status == 404);
}

TEST_CASE("clients are paged: ten unless asked, a thousand at most", "[control_pages]") {
  std::string asked;
  const ControlPages pages{kSelf, clients_of(25, &asked)};
  const auto count = [&](const std::string& query) {
    return json(ask(pages, "/api/v1/clients" + query))->getArray("clients")->size();
  };
  CHECK(count("") == 10);
  CHECK(count("?count=25") == 25);
  CHECK(count("?start=20&count=10") == 5);
  CHECK(count("?start=25") == 0);
  CHECK(count("?count=0") == 0);
  CHECK(count("?count=1000") == 25);
  CHECK(json(ask(pages, "/api/v1/clients"))->getValue<int>("total") == 25);
  for (const char* wrong : {"?count=1001", "?count=-1", "?count=", "?count=ten", "?count=1x",
                            "?start=-1", "?start=1000000001", "?start=99999999999999999999"}) {
    INFO(wrong);
    CHECK(ask(pages, std::string("/api/v1/clients") + wrong).status == 400);
  }
  CHECK(count("?stream=__defaultVhost__%2Flive%2Fcam") == 10);
  CHECK(asked == "__defaultVhost__/live/cam");
}

TEST_CASE("a kick names one client and tells whether it was there", "[control_pages]") {
  std::vector<std::string> kicked;
  ControlHandlers handlers = clients_of(1);
  handlers.kick = [&](const std::string& id) -> Result<void> {
    kicked.push_back(id);
    if (id != "c0") return fail(Errc::NotFound, "no such client");
    return {};
  };
  const ControlPages pages{kSelf, handlers};
  CHECK(ask(pages, "/api/v1/clients/c0", "DELETE").status == 200);
  CHECK(ask(pages, "/api/v1/clients/x%20y", "DELETE").status == 404);
  CHECK(kicked == std::vector<std::string>{"c0", "x y"});
  CHECK(ask(pages, "/api/v1/clients", "DELETE").status == 405);
  CHECK(ask(pages, "/api/v1/clients/c0", "PUT").allow == "GET, HEAD, DELETE");
  const ControlPages read_only{kSelf, clients_of(1)};
  CHECK(ask(read_only, "/api/v1/clients/c0", "DELETE").status == 405);
  CHECK(ask(read_only, "/api/v1/clients/c0", "DELETE").allow == "GET, HEAD");
}

TEST_CASE("streams are listed, paged, and found by id or key", "[control_pages]") {
  StreamView held = stream("__defaultVhost__/live/cam");
  held.report = StreamReport{.key = held.key,
                             .source = "upstream",
                             .upstream = "a",
                             .age = milliseconds{5000},
                             .frames = 125,
                             .traffic = {.received = 600, .sent = 0},
                             .rate = {.received_kbps = 1500.04, .sent_kbps = 0},
                             .video = VideoReport{"h264", "High", "3.1", 1280, 720},
                             .audio = AudioReport{"aac", "LC", 44100, 2}};
  const ControlPages pages{kSelf, streams_of({held, stream("a.org/x/y/z")})};
  const auto all = json(ask(pages, "/api/v1/streams"));
  CHECK(all->getValue<int>("total") == 2);
  const auto first = all->getArray("streams")->getObject(0);
  CHECK(first->getValue<std::string>("name") == "cam");
  CHECK(first->getValue<std::string>("app") == "live");
  CHECK(first->getValue<int>("clients") == 4);
  CHECK(first->getValue<int>("viewers") == 3);
  CHECK(first->getValue<int>("recv_bytes") == 600);
  CHECK(first->getValue<int>("send_bytes") == 700);
  CHECK(first->getValue<double>("bitrate_kbps") == 1500);
  CHECK(first->getObject("publish")->getValue<std::string>("cid") == "cid1");
  CHECK(first->getObject("video")->getValue<int>("width") == 1280);
  CHECK(first->getObject("audio")->getValue<std::string>("profile") == "LC");
  CHECK(first->getValue<std::string>("source") == "upstream");

  const auto second = all->getArray("streams")->getObject(1);
  CHECK(second->getValue<std::string>("app") == "x/y");
  CHECK(second->isNull("video"));
  CHECK(second->getValue<double>("bitrate_kbps") == 1000.3);
  CHECK(json(ask(pages, "/api/v1/streams?start=1&count=1"))->getArray("streams")->size() == 1);
  CHECK(json(ask(pages, "/api/v1/streams?start=2"))->getArray("streams")->size() == 0);

  for (const std::string& name : {std::string("a.org/x/y/z"), control_id("a.org/x/y/z")})
    CHECK(json(ask(pages, "/api/v1/streams/" + name))
              ->getObject("stream")
              ->getValue<std::string>("stream_key") == "a.org/x/y/z");
  CHECK(ask(pages, "/api/v1/streams/none").status == 404);
  CHECK(ask(pages, "/api/v1/streams?count=1001").status == 400);

  const auto vhosts = json(ask(pages, "/api/v1/vhosts"))->getArray("vhosts");
  CHECK(vhosts->size() == 2);
  CHECK(vhosts->getObject(1)->getValue<std::string>("name") == "a.org");
  CHECK(vhosts->getObject(1)->getValue<std::string>("id") ==
        second->getValue<std::string>("vhost"));
  CHECK(json(ask(pages, "/api/v1/vhosts/a.org"))->getObject("vhost")->getValue<int>("streams") ==
        1);
  CHECK(ask(pages, "/api/v1/vhosts/none").status == 404);
}

TEST_CASE("a route is looked up by app and stream, as RTMP names them", "[control_pages]") {
  std::string asked;
  ControlHandlers handlers;
  handlers.route = [&](const std::string& key) -> Result<RouteView> {
    asked = key;
    if (key != "__defaultVhost__/live/cam.flv") return fail(Errc::NotFound, "nobody knows");
    RouteView view;
    view.key = key;
    view.upstream.upstream = std::make_shared<const Upstream>(configured("a", 3));
    view.sessions["a"].sessions = 2;
    return view;
  };
  const ControlPages pages{kSelf, handlers};
  const auto route = json(ask(pages, "/api/v1/routes/live/cam.flv"))->getObject("route");
  CHECK(route->getValue<std::string>("upstream") == "a");
  CHECK(route->getObject("sessions")->getValue<int>("a") == 2);
  CHECK(route->getObject("origin")->getValue<std::string>("host") == "a.example");
  CHECK(ask(pages, "/api/v1/routes/a/b/cam?vhost=A.org").status == 404);
  CHECK(asked == "a.org/a/b/cam");
  CHECK(ask(pages, "/api/v1/routes/live").status == 404);
  CHECK(ask(pages, "/api/v1/routes/live/..").status == 400);
  CHECK(ask(pages, "/api/v1/routes/live/%zz").status == 400);
}

TEST_CASE("upstreams are listed, drained and removed", "[control_pages]") {
  UpstreamState state{.upstream = std::make_shared<const Upstream>(configured("a b", 3)),
                      .ejected_for = std::chrono::milliseconds{1500},
                      .routes = 2,
                      .streams = 1,
                      .failures = 4,
                      .ejections = 1};
  std::vector<std::string> done;
  ControlHandlers handlers;
  handlers.upstreams = [&] { return Result<std::vector<UpstreamState>>(std::vector{state}); };
  handlers.drain_upstream = [&](const std::string& id, bool drained) -> Result<void> {
    done.push_back((drained ? "drain " : "undrain ") + id);
    return {};
  };
  handlers.remove_upstream = [](const std::string&) -> Result<void> {
    return fail(Errc::Denied, "it stands in the configuration");
  };
  const ControlPages pages{kSelf, handlers};
  const auto listed = json(ask(pages, "/api/v1/upstreams"))->getArray("upstreams")->getObject(0);
  CHECK(listed->getValue<std::string>("id") == "a b");
  CHECK(listed->getValue<bool>("ejected"));
  CHECK(listed->getValue<int>("ejected_ms") == 1500);
  CHECK_FALSE(listed->getValue<bool>("drained"));
  CHECK(json(ask(pages, "/api/v1/upstreams/a%20b"))->has("upstream"));
  CHECK(ask(pages, "/api/v1/upstreams/other").status == 404);
  CHECK(ask(pages, "/api/v1/upstreams/a%20b/drain", "POST").status == 200);
  CHECK(ask(pages, "/api/v1/upstreams/a%20b/undrain", "POST").status == 200);
  CHECK(done == std::vector<std::string>{"drain a b", "undrain a b"});
  CHECK(ask(pages, "/api/v1/upstreams/a%20b/drain", "PUT").allow == "POST");
  CHECK(ask(pages, "/api/v1/upstreams/a%20b/other", "POST").status == 404);
  CHECK(ask(pages, "/api/v1/upstreams/a%20b", "DELETE").status == 403);
  CHECK(ask(pages, "/api/v1/upstreams/a%20b", "POST").status == 405);
  handlers.drain_upstream = nullptr;
  handlers.remove_upstream = nullptr;
  const ControlPages read_only{kSelf, handlers};
  CHECK(ask(read_only, "/api/v1/upstreams/a%20b/drain", "POST").status == 404);
  CHECK(ask(read_only, "/api/v1/upstreams/a%20b", "DELETE").status == 405);
}

TEST_CASE("a drain is posted", "[control_pages]") {
  int drains = 0;
  ControlHandlers handlers;
  handlers.drain = [&] { ++drains; };
  const ControlPages pages{kSelf, handlers};
  CHECK(ask(pages, "/api/v1/drain").status == 405);
  CHECK(drains == 0);
  CHECK(ask(pages, "/api/v1/drain", "POST").status == 200);
  CHECK(drains == 1);
  CHECK(ask(ControlPages{kSelf, {}}, "/api/v1/drain", "POST").status == 404);
}

TEST_CASE("the cluster's answers are joined, and who fails is named", "[control_pages]") {
  std::string target;
  ControlHandlers handlers = streams_of({stream("v.org/live/cam")});
  std::vector<ClusterAnswer> answers{
      {"srs", std::string(R"({"code":0,"streams":[{"id":"vid-1","name":"cam"},7]})")},
      {"silent", fail(Errc::Timeout, "no answer in time")},
      {"refuses", std::string(R"({"code":1061,"streams":[]})")},
      {"html", std::string("<html>")},
      {"deep", std::string(200, '[')},
      {"other", std::string(R"({"code":0,"clients":[]})")},
  };
  handlers.cluster = [&](const std::string& asked) {
    target = asked;
    return Result<std::vector<ClusterAnswer>>(answers);
  };
  const ControlPages pages{kSelf, handlers};
  const auto all = json(ask(pages, "/api/v1/streams?scope=cluster&start=0&count=20"));
  CHECK(target == "/api/v1/streams?start=0&count=20");
  const auto streams = all->getArray("streams");
  REQUIRE(streams->size() == 2);
  CHECK(streams->getObject(0)->getValue<std::string>("node") == "weir-1");
  CHECK(streams->getObject(1)->getValue<std::string>("node") == "srs");
  const auto nodes = all->getArray("nodes");
  REQUIRE(nodes->size() == 7);
  CHECK(nodes->getObject(0)->getValue<bool>("ok"));
  CHECK(nodes->getObject(1)->getValue<bool>("ok"));
  for (unsigned i = 2; i < 7; ++i) {
    CHECK_FALSE(nodes->getObject(i)->getValue<bool>("ok"));
    CHECK_FALSE(nodes->getObject(i)->getValue<std::string>("error").empty());
  }
  CHECK(ask(ControlPages{kSelf, streams_of({})}, "/api/v1/streams?scope=cluster").status == 404);
}

TEST_CASE("what peers call themselves becomes valid JSON", "[control_pages]") {
  CHECK(valid_utf8("plain \xc3\xa9 \xe6\xb0\xb4 \xf0\x9f\x8e\xa5") ==
        "plain \xc3\xa9 \xe6\xb0\xb4 \xf0\x9f\x8e\xa5");
  for (const char* bad : {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"})
    CHECK(valid_utf8(bad).starts_with("\xef\xbf\xbd"));
  CHECK(valid_utf8("a\xe6\xb0") == "a\xef\xbf\xbd\xef\xbf\xbd");
  SessionState state = session("c0");
  state.facts.agent = "evil\x01\"\n\xff";
  std::ostringstream text;
  to_json(state)->stringify(text);
  CHECK(text.str().find('\n') == std::string::npos);
  const auto back = Poco::JSON::Parser().parse(text.str()).extract<Object::Ptr>();
  CHECK(back->getValue<std::string>("agent") == "evil\x01\"\n\xef\xbf\xbd");
}

TEST_CASE("a node tells of itself and its machine", "[control_pages]") {
  Machine machine;
  NodeView node{.role = "edge", .state = "ready", .loops = {0.25, 0.5}, .sessions = 3};
  node.machine = machine.look();
  CHECK(node.machine.process.pid == ::getpid());
  CHECK(node.machine.process.memory_kb > 0);
  CHECK(node.machine.process.uptime_s >= 0);
  CHECK(node.machine.memory_kb > node.machine.process.memory_kb);
  CHECK(node.machine.cpu >= 0);
  CHECK(node.machine.cpu <= 1);
  ControlHandlers handlers;
  handlers.node = [&] { return Result<NodeView>(node); };
  const ControlPages pages{kSelf, handlers};
  const auto data = json(ask(pages, "/api/v1/summaries"))->getObject("data");
  CHECK(data->getValue<bool>("ok"));
  CHECK(data->getObject("self")->getValue<int>("pid") == ::getpid());
  CHECK(data->getObject("system")->getValue<int>("conn_srs") == 3);
  CHECK(data->getObject("weir")->getValue<std::string>("role") == "edge");
  CHECK(data->getObject("weir")->getArray("loops")->size() == 2);
  handlers.node = []() -> Result<NodeView> {
    return fail(Errc::Timeout, "a loop does not answer");
  };
  CHECK(ask(ControlPages{kSelf, handlers}, "/api/v1/summaries").status == 503);
}

TEST_CASE("events are for as many as there is room for", "[control_pages]") {
  Result<void> room;
  ControlHandlers handlers;
  handlers.events = [&] { return room; };
  handlers.history = [] { return Object::Ptr(new Object); };
  const ControlPages pages{kSelf, handlers};
  CHECK(ask(pages, "/api/v1/events").events);
  CHECK_FALSE(ask(pages, "/api/v1/events", "HEAD").events);
  CHECK(ask(pages, "/api/v1/events", "POST").status == 405);
  CHECK(json(ask(pages, "/api/v1/history"))->isObject("history"));
  room = fail(Errc::Unavailable, "32 watch already");
  CHECK(ask(pages, "/api/v1/events").status == 503);
  CHECK(ask(ControlPages{kSelf, {}}, "/api/v1/events").status == 404);
}

TEST_CASE("only what is given can be asked", "[control_pages]") {
  const ControlPages pages{kSelf, clients_of(0)};
  CHECK(json(ask(pages, "/api/v1/"))->getObject("urls")->has("clients"));
  CHECK_FALSE(json(ask(pages, "/api/v1"))->getObject("urls")->has("streams"));
  CHECK(ask(pages, "/api/v1/streams").status == 404);
  CHECK(ask(pages, "/api/v1/clients/").status == 200);
  CHECK(ask(pages, "/api/v1/clients/a/b").status == 404);
  CHECK(ask(pages, "/api/v1x").status == 404);
  CHECK(ask(pages, "/api/v2/streams").status == 404);
  CHECK(ask(pages, "/api/v1/versions", "POST").status == 405);
  CHECK(ask(pages, "/api/v1/%zz").status == 400);
  std::string many = "/api/v1/clients?";
  for (int i = 0; i < 33; ++i) many += "a" + std::to_string(i) + "=1&";
  CHECK(ask(pages, many).status == 400);
}

}  // namespace weir
