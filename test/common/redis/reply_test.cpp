#include "common/redis/reply.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::redis;

namespace {

Result<std::optional<Reply>> read(std::string_view bytes, ReplyLimits limits = {}) {
  ReplyReader reader(limits);
  reader.feed(as_bytes(bytes));
  return reader.next();
}

Reply whole(std::string_view bytes) {
  auto reply = read(bytes);
  REQUIRE(reply);
  REQUIRE(*reply);
  return std::move(**reply);
}

Errc refused(std::string_view bytes, ReplyLimits limits = {}) {
  const auto reply = read(bytes, limits);
  REQUIRE_FALSE(reply);
  return reply.error().code;
}

std::string nested(int depth) {
  std::string bytes;
  for (int i = 0; i < depth; ++i) bytes += "*1\r\n";
  return bytes + ":1\r\n";
}

}  // namespace

TEST_CASE("a command is an array of strings, whatever bytes are in them", "[redis]") {
  std::string bytes = "before";
  append_command(bytes, {"SET", "k\r\n", std::string("\0v", 2), ""});
  using namespace std::string_literals;
  CHECK(bytes == "before*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\0v\r\n$0\r\n\r\n"s);
}

TEST_CASE("each kind of reply is told apart", "[redis]") {
  CHECK(whole("$-1\r\n").is(Reply::Kind::Nil));
  CHECK(whole("*-1\r\n").is(Reply::Kind::Nil));
  CHECK(whole(":-42\r\n") == Reply{.kind = Reply::Kind::Integer, .integer = -42});
  CHECK(whole("+OK\r\n").is_text("OK"));
  CHECK(whole("$4\r\na\r\nb\r\n").is_text("a\r\nb"));
  CHECK(whole("$0\r\n\r\n").is_text(""));
  const Reply error = whole("-WRONGTYPE Operation against a key\r\n");
  CHECK(error.is_error("WRONGTYPE"));
  CHECK_FALSE(error.is_error("WRONG"));
  const Reply array = whole("*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+b\r\n");
  REQUIRE(array.items.size() == 3);
  CHECK(array.items[0].integer == 1);
  CHECK(array.items[1].items == std::vector<Reply>{{.kind = Reply::Kind::String, .text = "a"}, {}});
  CHECK(array.items[2].is_text("b"));
  CHECK(whole("*0\r\n").is(Reply::Kind::Array));
}

TEST_CASE("replies are read however the bytes are cut", "[redis]") {
  const std::string bytes = "*2\r\n$3\r\nabc\r\n*1\r\n:7\r\n+OK\r\n$-1\r\n";
  ReplyReader reader;
  std::vector<Reply> replies;
  for (const char each : bytes) {
    reader.feed(as_bytes({&each, 1}));
    auto reply = reader.next();
    REQUIRE(reply);
    if (*reply) replies.push_back(std::move(**reply));
  }
  REQUIRE(replies.size() == 3);
  CHECK(replies[0].items[1].items[0].integer == 7);
  CHECK(replies[1].is_text("OK"));
  CHECK(replies[2].is(Reply::Kind::Nil));
}

TEST_CASE("what is no reply is an error", "[redis]") {
  CHECK(refused("HTTP/1.1 400 Bad Request\r\n\r\n") == Errc::Protocol);
  CHECK(refused(":twelve\r\n") == Errc::Protocol);
  CHECK(refused("$-7\r\n") == Errc::Protocol);
  CHECK(refused("*-7\r\n") == Errc::Protocol);
}

TEST_CASE("arrays nest eight deep and no deeper", "[redis]") {
  CHECK(whole(nested(8)).is(Reply::Kind::Array));
  CHECK(refused(nested(9)) == Errc::Protocol);
  CHECK(refused(nested(100'000)) == Errc::Protocol);
}

TEST_CASE("a reply is as long as the limit and no longer", "[redis]") {
  const ReplyLimits limits{.bytes = 10};
  CHECK(read("$4\r\nabcd\r\n", limits).value());
  CHECK(refused("$5\r\nabcde\r\n", limits) == Errc::Limit);
  // Several that are short are not one that is long.
  ReplyReader reader(limits);
  reader.feed(as_bytes("+one\r\n+two\r\n+three\r\n"));
  for (const auto* text : {"one", "two", "three"}) CHECK(reader.next().value()->is_text(text));
}

TEST_CASE("a long reply is refused before it has come", "[redis]") {
  ReplyReader reader({.bytes = 1000});
  reader.feed(as_bytes("$536870912\r\n"));
  CHECK(reader.next().value() == std::nullopt);
  reader.feed(as_bytes(std::string(1000, 'x')));
  CHECK(reader.next().error().code == Errc::Limit);
}

TEST_CASE("a reply has as many items as the limit and no more", "[redis]") {
  const ReplyLimits limits{.items = 4};
  CHECK(read("*3\r\n:1\r\n:2\r\n:3\r\n", limits).value());
  CHECK(refused("*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits) == Errc::Limit);
  CHECK(refused("*2\r\n*1\r\n:1\r\n*1\r\n:2\r\n", limits) == Errc::Limit);
}

TEST_CASE("an array's announced length takes no memory", "[redis]") {
  CHECK(read("*2147483647\r\n").value() == std::nullopt);
}
