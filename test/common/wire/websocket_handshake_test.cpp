#include "common/wire/websocket_handshake.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

http::Request asking() {
  return {.method = "GET",
          .target = "/live/a.flv",
          .headers = {{"Host", "x"},
                      {"Connection", "keep-alive, Upgrade"},
                      {"Upgrade", "WebSocket"},
                      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                      {"Sec-WebSocket-Version", "13"}}};
}

int refused_with(const http::Request& request) {
  auto granted = websocket::grant(request);
  REQUIRE_FALSE(granted);
  return granted.error().status;
}

}  // namespace

TEST_CASE("the key of RFC 6455's example gets its answer", "[websocket]") {
  CHECK(websocket::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("a WebSocket is asked for by both of its headers", "[websocket]") {
  CHECK(websocket::is_asked_for(asking()));
  for (const auto* header : {"Connection", "Upgrade"}) {
    http::Request request = asking();
    request.headers.remove(header);
    CHECK_FALSE(websocket::is_asked_for(request));
  }
}

TEST_CASE("a proper request is granted", "[websocket]") {
  const auto granted = websocket::grant(asking());
  REQUIRE(granted);
  CHECK(granted->status == 101);
  CHECK(granted->headers ==
        http::Headers{{"Upgrade", "websocket"},
                      {"Connection", "Upgrade"},
                      {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}});
}

TEST_CASE("of subprotocols the first is agreed to, if it is one", "[websocket]") {
  http::Request request = asking();
  request.headers.add("Sec-WebSocket-Protocol", "media.v1, other");
  CHECK(websocket::grant(request)->headers.find("Sec-WebSocket-Protocol") == "media.v1");
  request.headers.set("Sec-WebSocket-Protocol", "not a token");
  CHECK_FALSE(websocket::grant(request)->headers.has("Sec-WebSocket-Protocol"));
}

TEST_CASE("another version is refused with 426, anything else amiss with 400", "[websocket]") {
  http::Request request = asking();
  request.headers.set("Sec-WebSocket-Version", "8");
  CHECK(refused_with(request) == 426);
  request.headers.remove("Sec-WebSocket-Version");
  CHECK(refused_with(request) == 426);

  request = asking();
  request.method = "POST";
  CHECK(refused_with(request) == 400);
  request = asking();
  request.minor_version = 0;
  CHECK(refused_with(request) == 400);
  request = asking();
  request.headers.remove("Sec-WebSocket-Key");
  CHECK(refused_with(request) == 400);
  request = asking();
  request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  CHECK(refused_with(request) == 400);
}

TEST_CASE("a key is the base64 of 16 bytes", "[websocket]") {
  for (const auto* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=a",
                          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZTA=",
                          "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZSBub25jZQ=="}) {
    http::Request request = asking();
    request.headers.set("Sec-WebSocket-Key", key);
    CAPTURE(key);
    CHECK(refused_with(request) == 400);
  }
}
