#include "cache/http_body.h"

#include <catch2/catch.hpp>

#include <thread>

#include "test/support/loopback.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

std::string some(std::size_t size, char first = 'a') {
  std::string text(size, first);
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

// What the reader gets now.
std::string read_all(HttpBody::Reader& reader, std::uint64_t most = UINT64_MAX) {
  std::string text;
  std::array<iovec, 3> pieces;
  while (true) {
    const std::size_t count = reader.pieces(pieces, most - text.size());
    std::size_t got = 0;
    for (const iovec& piece : std::span(pieces).first(count)) {
      text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
      got += piece.iov_len;
    }
    if (got == 0) return text;
    reader.advance(got);
  }
}

struct Memory {
  std::shared_ptr<MemoryUse> use = std::make_shared<MemoryUse>();
};

}  // namespace

TEST_CASE("readers get the same bytes at their own pace, over all blocks", "[http_body]") {
  Memory memory;
  HttpBody body(memory.use, std::nullopt);
  const std::string text = some(300'000);
  auto early = body.read(0);
  body.append(as_bytes(std::string_view(text).substr(0, 1)));
  CHECK(read_all(*early) == text.substr(0, 1));
  body.append(as_bytes(std::string_view(text).substr(1)));
  auto late = body.read(200'000);
  CHECK(read_all(*late) == text.substr(200'000));
  CHECK(read_all(*early, 10) == text.substr(1, 10));
  CHECK(read_all(*early) == text.substr(11));
  CHECK(as_text(body.copy()) == text);
  CHECK_FALSE(body.length());
  body.finish();
  CHECK(body.length() == text.size());
}

TEST_CASE("a body of announced length takes no more than that in blocks of a megabyte",
          "[http_body]") {
  Memory memory;
  {
    HttpBody body(memory.use, 2'500'000);
    CHECK(body.length() == 2'500'000);
    CHECK(memory.use->bytes() == HttpBody::kLargestBlock);
    body.append(as_bytes(some(2'500'000)));
    CHECK(memory.use->bytes() == 2'500'000);
    CHECK(body.memory() == 2'500'000);
  }
  CHECK(memory.use->bytes() == 0);
}

TEST_CASE("a body of unknown length grows with what comes", "[http_body]") {
  Memory memory;
  HttpBody body(memory.use, std::nullopt);
  CHECK(memory.use->bytes() == HttpBody::kFirstBlock);
  body.append(as_bytes(some(HttpBody::kFirstBlock)));
  CHECK(memory.use->bytes() == HttpBody::kFirstBlock);
  body.append(as_bytes("x"));
  CHECK(memory.use->bytes() == 5 * HttpBody::kFirstBlock);
}

TEST_CASE("a body let go keeps only what its slowest reader needs", "[http_body]") {
  Memory memory;
  HttpBody body(memory.use, std::nullopt);
  auto slow = body.read(0);
  body.append(as_bytes(some(8'000'000)));
  body.let_go();
  CHECK_FALSE(body.read(0));
  CHECK(body.memory() > HttpBody::kPassingWindow);
  CHECK_FALSE(body.has_room());
  CHECK(read_all(*slow, 7'990'000).size() == 7'990'000);
  CHECK(body.memory() <= HttpBody::kPassingWindow);
  CHECK(body.has_room());
  slow.reset();
  CHECK_FALSE(body.has_room());
  CHECK_FALSE(body.has_readers());
}

TEST_CASE("a long chain of blocks ends without deep calls", "[http_body]") {
  Memory memory;
  {
    HttpBody body(memory.use, std::uint64_t{200} << 20);
    const std::string block = some(HttpBody::kLargestBlock);
    for (int i = 0; i < 200; ++i) body.append(as_bytes(block));
  }
  CHECK(memory.use->bytes() == 0);
}

TEST_CASE("readers of other threads see what is committed, and that it is all",
          "[http_body][threads]") {
  Memory memory;
  HttpBody body(memory.use, std::nullopt);
  const std::string text = some(1'000'000);
  std::vector<std::string> heard(2);
  std::vector<std::thread> readers;
  for (auto& mine : heard) {
    readers.emplace_back([&body, &mine] {
      auto reader = body.read(0);
      bool all = false;
      while (!all) {
        all = body.complete();
        mine += read_all(*reader);
      }
    });
  }
  for (std::size_t at = 0; at < text.size(); at += 1000)
    body.append(as_bytes(std::string_view(text).substr(at, 1000)));
  body.finish();
  for (auto& reader : readers) reader.join();
  for (const auto& mine : heard) CHECK((mine == text));
}
