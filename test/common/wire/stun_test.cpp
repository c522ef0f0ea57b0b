#include "common/wire/stun.h"

#include <catch2/catch.hpp>

#include "test/support/stun_messages.h"

using namespace weir;
using namespace std::string_view_literals;
using test::stun_message;
using test::StunOptions;

namespace {

// RFC 5769 2.1: a request with a username, integrity and a fingerprint, padded with spaces.
constexpr std::string_view kPublished =
    "\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x10\x53\x54\x55\x4e\x20\x74\x65\x73\x74\x20\x63\x6c\x69\x65\x6e\x74"
    "\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
    "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
    "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49"
    "\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf"sv;

Errc code_of(const ByteBuffer& packet) {
  const auto message = stun::parse(packet);
  REQUIRE_FALSE(message);
  return message.error().code;
}

}  // namespace

TEST_CASE("the published sample request is read and its password believed", "[stun]") {
  const ByteView packet = as_bytes(kPublished);
  const auto message = stun::parse(packet);
  REQUIRE(message);
  CHECK(message->is_request());
  CHECK(message->username == "evtj:h6vY");
  CHECK(stun::verifies(packet, *message, "VOkJxbRl1RmTxUk/WvJxBt"));
  CHECK_FALSE(stun::verifies(packet, *message, "VOkJxbRl1RmTxUk/WvJxBT"));
  CHECK_FALSE(stun::verifies(packet, *message, ""));
}

TEST_CASE("every byte that integrity covers counts", "[stun]") {
  const ByteBuffer good = stun_message({.use_candidate = true, .fingerprint = false});
  const StunOptions options;
  for (std::size_t i = 0; i < good.size(); ++i) {
    ByteBuffer bad = good;
    bad[i] ^= 1;
    const auto message = stun::parse(bad);
    if (message) CHECK_FALSE(stun::verifies(bad, *message, options.password));
  }
}

TEST_CASE("a message without integrity verifies with no password", "[stun]") {
  const ByteBuffer packet = stun_message({.integrity = false});
  const auto message = stun::parse(packet);
  REQUIRE(message);
  CHECK_FALSE(stun::verifies(packet, *message, ""));
}

TEST_CASE("a message is as long as it says, and its attributes end where it does", "[stun]") {
  const ByteBuffer good = stun_message();
  REQUIRE(stun::parse(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(stun::parse(ByteView(good).first(size)));
  ByteBuffer longer = good;
  longer.push_back(0);
  CHECK(code_of(longer) == Errc::Protocol);

  ByteBuffer one = stun_message({.username = "", .integrity = false, .fingerprint = false});
  one.push_back(7);
  one[3] = 1;
  CHECK(code_of(one) == Errc::Protocol);  // 21 bytes with a length of 1

  ByteBuffer beyond = stun_message({.integrity = false, .fingerprint = false});
  store_be16(beyond.data() + stun::kHeader + 2, 0x7fff);
  CHECK(code_of(beyond) == Errc::Protocol);
}

TEST_CASE("a wrong fingerprint, or one that is not last, is refused", "[stun]") {
  ByteBuffer wrong = stun_message();
  wrong.back() ^= 1;
  CHECK(code_of(wrong) == Errc::Protocol);
  ByteBuffer first = stun_message();
  test::add_attribute(first, 0x8022, as_bytes("software"));
  CHECK(code_of(first) == Errc::Protocol);
}

TEST_CASE("nothing is believed behind the integrity but the fingerprint", "[stun]") {
  ByteBuffer packet = stun_message({.fingerprint = false});
  test::add_attribute(packet, 0x0006, as_bytes("other:name"));
  CHECK(code_of(packet) == Errc::Protocol);
}

TEST_CASE("32 attributes pass and 33 do not", "[stun]") {
  ByteBuffer packet = stun_message({.integrity = false, .fingerprint = false});
  for (std::size_t i = 1; i < stun::kMaxAttributes; ++i)
    test::add_attribute(packet, 0x8022, as_bytes("x"));
  CHECK(stun::parse(packet));
  test::add_attribute(packet, 0x8022, as_bytes("x"));
  CHECK(code_of(packet) == Errc::Limit);
}

TEST_CASE("a name of 513 bytes passes and a longer one does not", "[stun]") {
  const std::string name(stun::kMaxUsername, 'n');
  CHECK(stun::parse(stun_message({.username = name})));
  CHECK(code_of(stun_message({.username = name + "n"})) == Errc::Limit);
}

TEST_CASE("a message of 1280 bytes passes and a longer one does not", "[stun]") {
  ByteBuffer packet = stun_message({.username = "", .integrity = false, .fingerprint = false});
  test::add_attribute(packet, 0x8022, ByteBuffer(stun::kMaxPacket - packet.size() - 4));
  CHECK(stun::parse(packet));
  test::add_attribute(packet, 0x8022, {});
  CHECK(code_of(packet) == Errc::Limit);
}

TEST_CASE("DTLS, RTP and short datagrams are not STUN", "[stun]") {
  ByteBuffer packet = stun_message();
  CHECK(stun::is_stun(packet));
  for (const int first : {4, 20, 22, 63, 64, 128, 144, 191, 255}) {
    packet[0] = static_cast<std::uint8_t>(first);
    CHECK_FALSE(stun::is_stun(packet));
  }
  CHECK_FALSE(stun::is_stun(ByteBuffer(19)));
  CHECK_FALSE(stun::is_stun({}));
}

TEST_CASE("a check that we write is one that we believe", "[stun]") {
  const stun::Transaction transaction{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (const bool nominates : {false, true}) {
    const auto packet = stun::write({.username = "theirs:ours",
                                     .password = "password-of-22-letters",
                                     .transaction = transaction,
                                     .tie_breaker = 0x1122334455667788,
                                     .nominates = nominates});
    const auto message = stun::parse(packet);
    REQUIRE(message);
    CHECK(message->is_request());
    CHECK(message->username == "theirs:ours");
    CHECK(message->use_candidate == nominates);
    CHECK(stun::verifies(packet, *message, "password-of-22-letters"));
    CHECK_FALSE(stun::verifies(packet, *message, "password-of-23-letters"));
    CHECK(stun::transaction_of(packet) == transaction);
  }
}
