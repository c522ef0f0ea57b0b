#include "common/http/body.h"

#include <catch2/catch.hpp>

using namespace weir;
using http::Body;
using http::BodyFraming;

TEST_CASE("a body by length takes its bytes and not one more", "[http][body]") {
  Body body({BodyFraming::Length, 5});
  CHECK(body.room(100) == 5);
  CHECK(body.take(as_bytes("abc")) == 3);
  CHECK(body.room(100) == 2);
  CHECK_FALSE(body.closed());
  CHECK(body.take(as_bytes("defg")) == 2);
  CHECK(body.ended());
  CHECK(body.take(as_bytes("x")) == 0);
}

TEST_CASE("a chunked body ends behind its trailers, however it is cut", "[http][body]") {
  const std::string text = "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Body body({BodyFraming::Chunked, 0});
    const std::string rest = text.substr(cut) + "GET";
    CHECK(body.take(as_bytes(text.substr(0, cut))) == cut);
    CHECK(body.ended() == (cut == text.size()));
    CHECK(body.take(as_bytes(rest)) == text.size() - cut);
    CHECK(body.ended());
  }
}

TEST_CASE("a malformed chunk is refused", "[http][body]") {
  Body body({BodyFraming::Chunked, 0});
  const auto taken = body.take(as_bytes("-1\r\n"));
  REQUIRE(!taken);
  CHECK(taken.error().code == Errc::Protocol);
}

TEST_CASE("a body without framing ends with the connection, no body at once", "[http][body]") {
  Body open({BodyFraming::UntilClose, 0});
  CHECK(open.take(as_bytes("abc")) == 3);
  CHECK_FALSE(open.ended());
  CHECK(open.closed());
  CHECK(open.ended());
  Body none;
  CHECK(none.ended());
  CHECK(none.take(as_bytes("abc")) == 0);
}

TEST_CASE("content comes without its framing", "[http][body]") {
  Body body({BodyFraming::Chunked, 0});
  ByteView input = as_bytes("3\r\nabc\r\n0\r\n\r\nrest");
  std::string content;
  while (!body.ended()) {
    const auto piece = body.next(input);
    REQUIRE(piece);
    content += as_text(*piece);
  }
  CHECK(content == "abc");
  CHECK(as_text(input) == "rest");
}
