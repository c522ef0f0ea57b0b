#include "proxy/upstream.h"

#include <catch2/catch.hpp>

namespace weir {

TEST_CASE("an upstream speaks the protocols that it has endpoints for", "[upstream]") {
  Upstream upstream;
  upstream.at(Protocol::Http) = {{"10.0.0.5", 8080}, {"10.0.0.6", 8080}};
  CHECK(upstream.speaks(Protocol::Http));
  CHECK_FALSE(upstream.speaks(Protocol::Rtmp));
  CHECK(upstream.at(Protocol::Http)[1] == Endpoint{"10.0.0.6", 8080});
}

TEST_CASE("equal service ids are one generation, others are another", "[upstream]") {
  Upstream a;
  Upstream b;
  a.service = b.service = "8dh3";
  CHECK(a.generation() == b.generation());
  b.service = "9xk1";
  CHECK(a.generation() != b.generation());
}

TEST_CASE("the stable hash never changes, for proxies of all versions must agree", "[upstream]") {
  CHECK(stable_hash("") == 0xf52a15e9a9b5e89bULL);
  CHECK(stable_hash("__defaultVhost__/live/livestream") == 0xcbd221784e5f7b77ULL);
  CHECK(stable_hash("a", 1) == 0x270aeb36a95726cfULL);
}

TEST_CASE("every protocol has the name of its option", "[upstream]") {
  CHECK(name(Protocol::Rtmp) == "rtmp");
  CHECK(name(Protocol::Http) == "http");
  CHECK(name(Protocol::Api) == "api");
  CHECK(name(Protocol::Webrtc) == "webrtc");
  CHECK(name(Protocol::Srt) == "srt");
  CHECK(name(Protocol::Rtsp) == "rtsp");
}

}  // namespace weir
