#include "common/wire/srt.h"

#include <catch2/catch.hpp>

#include "common/wire/hex.h"

using namespace weir;
using namespace weir::srt;

namespace {

ByteBuffer bytes(std::string_view hex) {
  ByteBuffer out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1])));
  return out;
}

// What libsrt 1.5.1 sends to 127.0.0.1.
const ByteBuffer kInductionPacket = bytes(
    "8000000000000000000000c30000000000000004000000027a7a6b8d000005dc00002000000000011443fc17000000"
    "000100007f000000000000000000000000");
const ByteBuffer kConclusionPacket = bytes(
    "80000000000000000000131e0000000000000005000000057a7a6b8d000005dc00002000ffffffff1443fc17123456"
    "780100007f0000000000000000000000000001000300010501000000bf00780000000500083a3a21232e613d682c67"
    "726f696c3d72632f65766d2c6d616275703d6873696c");

Handshake conclusion_with(ByteView extensions) {
  return {.extension = 5,
          .type = handshake_type::kConclusion,
          .socket_id = 7,
          .extensions = extensions};
}

std::string streamid_of(std::string_view text) {
  ByteBuffer extensions;
  append_stream_id(extensions, text);
  const ByteBuffer packet = write(conclusion_with(extensions));
  auto handshake = parse_handshake(packet);
  if (!handshake) return "protocol";
  auto id = stream_id(*handshake);
  return id ? *id : std::string(name(id.error().code));
}

}  // namespace

TEST_CASE("the handshake of a real caller is read and written again", "[srt]") {
  auto induction = parse_handshake(kInductionPacket);
  REQUIRE(induction);
  CHECK(induction->version == kVersion4);
  CHECK(induction->extension == kDatagram);
  CHECK(induction->type == handshake_type::kInduction);
  CHECK(induction->socket_id == 0x1443fc17);
  CHECK(induction->mtu == 1500);
  CHECK(induction->extensions.empty());
  CHECK_FALSE(induction->rejection());

  auto conclusion = parse_handshake(kConclusionPacket);
  REQUIRE(conclusion);
  CHECK(conclusion->type == handshake_type::kConclusion);
  CHECK(conclusion->cookie == 0x12345678);
  CHECK(conclusion->peer == peer_field(bytes("7f000001")));
  CHECK(stream_id(*conclusion) == "#!::h=a.org,r=live/cam,m=publish");

  ByteBuffer again = write(*conclusion);
  store_be32(again.data() + 8, load_be32(kConclusionPacket.data() + 8));  // the timestamp
  CHECK(again == kConclusionPacket);
}

TEST_CASE("a handshake cut short anywhere is refused", "[srt]") {
  for (std::size_t size = 0; size < kConclusionPacket.size(); ++size) {
    const auto cut = parse_handshake(ByteView(kConclusionPacket).first(size));
    // Right behind the fixed part, and behind the first extension, something whole ends.
    const bool whole = size == kHandshakeSize || size == kHandshakeSize + 16;
    CHECK(cut.has_value() == whole);
  }
}

TEST_CASE("an extension that claims more than came is refused", "[srt]") {
  const ByteBuffer extension = bytes("0005ffff61626364");
  CHECK(parse_handshake(write(conclusion_with(extension))).error().code == Errc::Protocol);
  CHECK(parse_handshake(write(conclusion_with(bytes("0005")))).error().code == Errc::Protocol);
  // In other types it is nobody's.
  Handshake induction = conclusion_with(extension);
  induction.type = handshake_type::kInduction;
  const ByteBuffer packet = write(induction);
  auto parsed = parse_handshake(packet);
  REQUIRE(parsed);
  CHECK(parsed->extensions.empty());
}

TEST_CASE("data and other control packets are no handshakes", "[srt]") {
  ByteBuffer packet = kConclusionPacket;
  packet[0] = 0;
  CHECK_FALSE(control_type(packet));
  CHECK_FALSE(parse_handshake(packet));
  store_be16(packet.data(), 0x8002);
  CHECK(control_type(packet) == ControlType::Ack);
  CHECK_FALSE(parse_handshake(packet));
}

TEST_CASE("a streamid has its words reversed and may have 512 bytes", "[srt]") {
  ByteBuffer extensions;
  append_stream_id(extensions, "abcde");
  CHECK(extensions == bytes("00050002"
                            "64636261"
                            "00000065"));
  for (const std::size_t size : {1, 3, 4, 5, 511, 512})
    CHECK(streamid_of(std::string(size, 'x')) == std::string(size, 'x'));
  CHECK(streamid_of(std::string(513, 'x')) == "limit");
  CHECK(streamid_of(std::string_view("a\0b", 3)) == "protocol");
  const Handshake none = conclusion_with({});
  CHECK(stream_id(none) == "");
}

TEST_CASE("fields are overwritten in place and nothing else changes", "[srt]") {
  ByteBuffer packet = kConclusionPacket;
  set_cookie(packet, 0xdeadbeef);
  set_peer(packet, peer_field(bytes("20010db8000000000000000000000001")));
  auto changed = parse_handshake(packet);
  REQUIRE(changed);
  CHECK(changed->cookie == 0xdeadbeef);
  CHECK(ByteView(changed->peer).front() == 0xb8);
  set_cookie(packet, 0x12345678);
  set_peer(packet, peer_field(bytes("7f000001")));
  CHECK(packet == kConclusionPacket);
}

TEST_CASE("rejections are the types from 1000 up to the negative ones", "[srt]") {
  Handshake answer = conclusion_with({});
  CHECK_FALSE(answer.rejection());
  answer.type = handshake_type::kRejected + 1404;
  CHECK(answer.rejection() == Rejection::NotFound);
  answer.type = 999;
  CHECK_FALSE(answer.rejection());
  answer.type = 0xfffffffe;  // AGREEMENT
  CHECK_FALSE(answer.rejection());
}

TEST_CASE("a shutdown names its socket", "[srt]") {
  const auto packet = shutdown_packet(42);
  CHECK(control_type(packet) == ControlType::Shutdown);
  CHECK(destination(packet) == 42);
}
