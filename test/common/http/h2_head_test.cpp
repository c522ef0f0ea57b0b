#include "common/http/h2_head.h"

#include <catch2/catch.hpp>

using namespace weir;
using http::RequestFields;

namespace {

RequestFields get(std::string_view path = "/a?b=c") {
  RequestFields fields;
  fields.add(":method", "GET");
  fields.add(":scheme", "https");
  fields.add(":path", path);
  fields.add(":authority", "site.test:8443");
  return fields;
}

}  // namespace

TEST_CASE("a request of HTTP/2 becomes a head of HTTP/1.1", "[http2]") {
  auto fields = get();
  fields.add("user-agent", "player");
  fields.add("cookie", "a=1");
  fields.add("te", "trailers");
  fields.add("cookie", "b=2");
  CHECK(fields.head(false) ==
        "GET /a?b=c HTTP/1.1\r\nhost: site.test:8443\r\nuser-agent: player\r\n"
        "cookie: a=1; b=2\r\n\r\n");
  CHECK(fields.method() == "GET");
}

TEST_CASE("a body of unknown length is announced in chunks", "[http2]") {
  auto fields = get();
  CHECK(fields.chunked(true));
  CHECK(fields.head(true)->ends_with("transfer-encoding: chunked\r\n\r\n"));
  fields.add("content-length", "5");
  CHECK_FALSE(fields.chunked(true));
  CHECK(fields.head(true)->ends_with("content-length: 5\r\n\r\n"));
}

TEST_CASE("the host stands in for an authority, and never beside one", "[http2]") {
  auto both = get();
  both.add("host", "other.test");
  CHECK_FALSE(both.head(false)->contains("other.test"));
  RequestFields alone;
  alone.add(":method", "GET");
  alone.add(":path", "/");
  alone.add("host", "site.test");
  CHECK(alone.head(false) == "GET / HTTP/1.1\r\nhost: site.test\r\n\r\n");
}

TEST_CASE("no request of HTTP/2 is two of HTTP/1.1", "[http2]") {
  for (const std::string path : {"/a HTTP/1.1\r\nx: y", "/a b", "/a\n", "/a\x7f", ""}) {
    INFO(path);
    CHECK_FALSE(get(path).head(false));
  }
  for (const auto* method : {"GET /", "GE\r\nT", ""}) {
    RequestFields fields;
    fields.add(":method", method);
    fields.add(":path", "/");
    CHECK_FALSE(fields.head(false));
  }
  RequestFields split;
  split.add(":method", "GET");
  split.add(":path", "/");
  split.add(":authority", "a\r\nx: y");
  CHECK_FALSE(split.head(false));
}

TEST_CASE("fields are kept up to their bound, and too many are known", "[http2]") {
  RequestFields fields;
  const std::string name(10, 'n');
  const std::string value(RequestFields::kMost - name.size() - 32, 'v');
  fields.add(name, value);
  CHECK_FALSE(fields.too_large());
  fields.add("a", "");
  CHECK(fields.too_large());
  RequestFields more;
  more.add(name, value + "v");
  CHECK(more.too_large());
}

TEST_CASE("a response loses what was of the connection of HTTP/1.1", "[http2]") {
  http::Response response{.status = 206,
                          .headers = {{"Content-Type", "video/mp2t"},
                                      {"Connection", "keep-alive"},
                                      {"Keep-Alive", "timeout=5"},
                                      {"Transfer-Encoding", "chunked"},
                                      {"X-Up", "Y"}}};
  const http::FieldList expected{{":status", "206"}, {"content-type", "video/mp2t"}, {"x-up", "Y"}};
  CHECK(http::response_fields(response) == expected);
}
