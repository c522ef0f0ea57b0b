#include "cache/checksum.h"

#include <string>
#include <catch2/catch.hpp>

using namespace weir;

namespace {
std::uint64_t sum(const std::string& text) { return checksum64(as_bytes(text), 0); }
}  // namespace

TEST_CASE("a checksum is the XXH64 of its specification", "[checksum]") {
  CHECK(sum("") == 0xef46db3751d8e999);
  CHECK(sum("a") == 0xd24ec4f1a98c6e5b);
  CHECK(sum("abc") == 0x44bc2cf5ad770999);
  CHECK(sum("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1);
}

TEST_CASE("each bit of bytes of any length, and the seed, changes the checksum", "[checksum]") {
  for (std::size_t length = 1; length <= 100; ++length) {
    std::string text(length, 'x');
    const auto before = sum(text);
    CHECK(checksum64(as_bytes(text), 1) != before);
    for (std::size_t bit = 0; bit < 8 * length; ++bit) {
      const char mask = static_cast<char>(1 << bit % 8);
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ mask);
      CHECK(sum(text) != before);
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ mask);
    }
  }
}
