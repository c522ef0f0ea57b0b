#include "common/wire/http1_chunked.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::http;

namespace {

struct Body {
  std::string data;
  Headers trailers;
  std::string left;
  bool ended = false;
  int status = 0;  // of the refusal
};

Body read(std::string_view text, ChunkedLimits limits = {}) {
  ChunkedReader reader(limits);
  ByteView input = as_bytes(text);
  Body body;
  while (true) {
    const auto step = reader.next(input);
    if (!step) {
      body.status = step.error().status;
      return body;
    }
    body.data.append(as_text(step->data));
    body.ended = step->end;
    if (step->end || step->data.empty()) break;
  }
  body.trailers = reader.trailers();
  body.left = as_text(input);
  return body;
}

std::string x(std::size_t count) { return std::string(count, 'x'); }

}  // namespace

TEST_CASE("chunks come out as their bytes, and what follows is left", "[http1]") {
  const Body body = read("5\r\nhello\r\n00A\r\n\r\n34567\r\n9\r\n0\r\n\r\nGET");
  CHECK(body.data == "hello\r\n34567\r\n9");
  CHECK(body.ended);
  CHECK(body.left == "GET");
}

TEST_CASE("a body that stops early has not ended", "[http1]") {
  for (const char* text :
       {"", "5", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r"}) {
    const Body body = read(text);
    CHECK_FALSE(body.ended);
    CHECK(body.status == 0);
  }
}

TEST_CASE("a piece of a chunk is handed out as a view of the input", "[http1]") {
  ChunkedReader reader;
  const std::string text = "5\r\nhel";
  ByteView input = as_bytes(text);
  const auto step = reader.next(input);
  REQUIRE(step);
  CHECK(step->data.data() == as_bytes(text).data() + 3);
  CHECK(step->data.size() == 3);
  CHECK(reader.total() == 3);
}

TEST_CASE("sizes are hexadecimal digits that fit 63 bits", "[http1]") {
  CHECK(read("7fffffffffffffff\r\n").status == 0);
  for (const char* line :
       {"", "g", "-1", "+1", "0x1", " 1", "1 ", "1 2", "8000000000000000", "10000000000000000"}) {
    INFO(line);
    CHECK(read(std::string(line) + "\r\n").status == 400);
  }
}

TEST_CASE("every line of a chunked body ends with CRLF", "[http1]") {
  CHECK(read("1\nx\n0\n\n").status == 400);
  CHECK(read("1\r\nx\n").status == 400);
  CHECK(read("1\r\nxy\r\n").status == 400);
  CHECK(read("0\r\n\n").status == 400);
}

TEST_CASE("extensions are skipped within their bounds", "[http1]") {
  CHECK(read("1;a=b;c=\"d\"\r\nx\r\n1 ;e\r\ny\r\n0;f\r\n\r\n").data == "xy");
  CHECK(read("1;" + x(1022) + "\r\n").status == 0);
  CHECK(read("1;" + x(1023) + "\r\n").status == 400);
}

TEST_CASE("extensions may exceed the body by their limit and no byte more", "[http1]") {
  const ChunkedLimits limits{.extensions = 8};
  CHECK(read("1;234\r\nx\r\n1;2345\r\nx\r\n0\r\n\r\n", limits).ended);
  CHECK(read("1;234\r\nx\r\n1;23456\r\nx\r\n0\r\n\r\n", limits).status == 400);
}

TEST_CASE("a body may have its limit and no byte more", "[http1]") {
  CHECK(read("4\r\nxxxx\r\n4\r\nxxxx\r\n0\r\n\r\n", {.body = 8}).ended);
  CHECK(read("4\r\nxxxx\r\n5\r\n", {.body = 8}).status == 413);
}

TEST_CASE("trailers come after the end, without those that would frame or route", "[http1]") {
  const Body body =
      read("0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n");
  CHECK(body.trailers == Headers{{"X-Sum", "1"}});
  CHECK(read("0\r\nA : b\r\n\r\n").status == 400);
  CHECK(read("0\r\nA: b\r\n c\r\n\r\n").status == 400);
}

TEST_CASE("trailers have limits in bytes and in number", "[http1]") {
  CHECK(read("0\r\nA: " + x(8187) + "\r\n\r\n").ended);
  CHECK(read("0\r\nA: " + x(8188) + "\r\n\r\n").status == 431);
  CHECK(read("0\r\nA: b\r\nA: b\r\n\r\n", {.trailer_count = 2}).ended);
  CHECK(read("0\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", {.trailer_count = 2}).status == 431);
}

TEST_CASE("what is written is read back", "[http1]") {
  std::string text;
  write_chunk_size(26, text);
  text.append(x(26)).append(kChunkEnd);
  write_last_chunk({{"A", "b"}}, text);
  CHECK(text == "1a\r\n" + x(26) + "\r\n0\r\nA: b\r\n\r\n");
  CHECK(read(text).trailers == Headers{{"A", "b"}});
}
