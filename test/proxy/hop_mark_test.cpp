#include "proxy/hop_mark.h"

#include <set>
#include <catch2/catch.hpp>

using namespace weir;

namespace {

rtmp::Request request_with(const std::string& hops, const std::string& id) {
  auto object = amf0::Value::object();
  object.set("weirHops", hops);
  object.set("weirRequestId", id);
  rtmp::Request request;
  request.connect.push_back(object);
  return request;
}

bool is_fresh(const std::string& id) {
  return id.size() == 16 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

TEST_CASE("an id that follows a connection is taken over", "[hop_mark]") {
  CHECK(hop_mark_of(request_with("", "3f00aa11-b_c.d:e")).id == "3f00aa11-b_c.d:e");
  CHECK(hop_mark_of(request_with("", std::string(64, 'x'))).id == std::string(64, 'x'));
}

TEST_CASE("an id that is not fit for logs is replaced by a new one", "[hop_mark]") {
  for (const std::string& bad :
       {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a\nb"),
        std::string("a\"b"), std::string("a=b"), std::string("\x1b[31m"), std::string("a\0b", 3),
        std::string("\xc3\xa4"), std::string("a,b")}) {
    CHECK_FALSE(is_plain_id(bad));
    CHECK(is_fresh(hop_mark_of(request_with("", bad)).id));
  }
}

TEST_CASE("a request without marks, or with marks of another kind, gets a new id and no hops",
          "[hop_mark]") {
  rtmp::Request bare;
  CHECK(is_fresh(hop_mark_of(bare).id));
  CHECK(hop_mark_of(bare).hops.empty());
  auto object = amf0::Value::object();
  object.set("weirHops", 7);
  object.set("weirRequestId", true);
  bare.connect = {object};
  CHECK(is_fresh(hop_mark_of(bare).id));
  CHECK(hop_mark_of(bare).hops.empty());
  bare.connect = {"no object"};
  CHECK(is_fresh(hop_mark_of(bare).id));
}

TEST_CASE("new ids differ", "[hop_mark]") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(random_id());
  CHECK(ids.size() == 1000);
  CHECK(std::ranges::all_of(ids, is_fresh));
}

TEST_CASE("every node adds itself and keeps the id", "[hop_mark]") {
  const auto first = next_hop({.hops = "", .id = "x"}, "a", 8);
  REQUIRE(first);
  CHECK(first->hops == "a");
  const auto second = next_hop(*first, "b", 8);
  REQUIRE(second);
  CHECK(second->hops == "a,b");
  CHECK(second->id == "x");
}

TEST_CASE("a node that finds itself among the hops refuses", "[hop_mark]") {
  for (const std::string hops : {"me", "me,b", "a,me,b", "a,me", "ME"}) {
    const auto next = next_hop({.hops = hops, .id = ""}, "me", 8);
    REQUIRE_FALSE(next);
    CHECK(next.error().code == Errc::Loop);
  }
  for (const std::string hops : {"", "me2", "a,not-me"})
    CHECK(next_hop({.hops = hops, .id = ""}, "me", 8));
}

TEST_CASE("as many hops as are allowed, and not one more", "[hop_mark]") {
  CHECK(next_hop({.hops = "a,b", .id = ""}, "me", 3));
  const auto next = next_hop({.hops = "a,b,c", .id = ""}, "me", 3);
  REQUIRE_FALSE(next);
  CHECK(next.error().code == Errc::Loop);
}

TEST_CASE("marks are set on a connect object and read back by the next node", "[hop_mark]") {
  rtmp::Request request;
  auto object = amf0::Value::object();
  object.set("app", "live");
  set_hop_mark(object, {.hops = "a", .id = "x"});
  set_hop_mark(object, {.hops = "a,b", .id = "x"});
  CHECK(object.properties().size() == 3);
  request.connect = {object};
  const auto mark = hop_mark_of(request);
  CHECK(mark.hops == "a,b");
  CHECK(mark.id == "x");
  amf0::Value text("no object");
  set_hop_mark(text, mark);
  CHECK(text == amf0::Value("no object"));
}

TEST_CASE("a request over HTTP has its hops in CDN-Loop and its id in X-Request-Id", "[hop_mark]") {
  const http::Headers headers{{"CDN-Loop", "near;v=1, far"},
                              {"X-Request-Id", "3f-a.b_c:d"},
                              {"CDN-Loop", "broken \"quote, last"}};
  const HopMark mark = hop_mark_of(headers);
  CHECK(mark.id == "3f-a.b_c:d");
  CHECK(mark.hops.starts_with("near,far,"));
  CHECK(mark.hops.ends_with(",last"));
  CHECK(next_hop(mark, "LAST", 8).error().code == Errc::Loop);
  CHECK(next_hop(mark, "other", 4).error().code == Errc::Loop);
  CHECK(next_hop(mark, "other", 5));
  CHECK(is_fresh(hop_mark_of(http::Headers{{"X-Request-Id", "no spaces"}}).id));
}

TEST_CASE("a connect object says whose it is as the node saw it, not as the client says",
          "[hop_mark]") {
  amf0::Value object = amf0::Value::object(
      {{"app", "live"}, {"clientAddr", "6.6.6.6"}, {"tcUrl", "x"}, {"clientAddr", "7.7.7.7"}});
  set_client_address(object, "203.0.113.7");
  REQUIRE(object.properties().size() == 3);
  CHECK(object.properties()[2].name == "clientAddr");
  CHECK(object.find("clientAddr")->text() == "203.0.113.7");
  set_client_address(object, "");
  CHECK(object.find("clientAddr") == nullptr);
  amf0::Value none;
  set_client_address(none, "203.0.113.7");
  CHECK_FALSE(none.is_object());
}
