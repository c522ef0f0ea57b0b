#include "common/wire/websocket_frame.h"

#include <catch2/catch.hpp>

#include <string>

#include "test/support/codecs.h"
#include "test/support/websocket_client.h"

using namespace weir;
using namespace weir::test;
using websocket::FrameReader;
using websocket::Opcode;

namespace {

constexpr int kFinal = 0x80;

struct Heard {
  std::string control;  // opcode and payload of each, as "9:abc "
  std::optional<Errc> error;
};

Heard hear(ByteView stream, std::size_t piece = SIZE_MAX) {
  Heard heard;
  FrameReader reader;
  while (!stream.empty()) {
    ByteView input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    while (true) {
      auto frame = reader.next(input);
      if (!frame) {
        heard.error = frame.error().code;
        CHECK(reader.next(input).error().code == *heard.error);
        return heard;
      }
      if (!*frame) break;
      heard.control += std::to_string(static_cast<int>((*frame)->opcode)) + ":" +
                       std::string(as_text((*frame)->payload)) + " ";
    }
    CHECK(input.empty());
  }
  return heard;
}

}  // namespace

TEST_CASE("headers have the shortest length", "[websocket]") {
  for (const auto& [size, header] : std::vector<std::pair<std::size_t, ByteBuffer>>{
           {0, bytes({0x82, 0})},
           {125, bytes({0x82, 125})},
           {126, bytes({0x82, 126, 0, 126})},
           {65535, bytes({0x82, 126, 0xff, 0xff})},
           {65536, bytes({0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0})}}) {
    ByteBuffer out;
    websocket::append_frame(out, Opcode::Binary, ByteBuffer(size, 'x'));
    CHECK(out == joined({header, ByteBuffer(size, 'x')}));
    CHECK(header.size() == websocket::header_size(size));
  }
  ByteBuffer close;
  websocket::append_close(close, websocket::CloseCode::Normal);
  CHECK(close == bytes({0x88, 2, 0x03, 0xe8}));
}

TEST_CASE("control frames are heard between and inside of messages, however they are cut",
          "[websocket]") {
  const ByteBuffer stream =
      joined({client_frame(kFinal | 9, "ping"), client_frame(kFinal | 1, "text"),
              client_frame(2, std::string(300, 'b')), client_frame(kFinal | 10, ""),
              client_frame(0, ""), client_frame(kFinal | 0, std::string(200, 'c')),
              client_frame(kFinal | 9, std::string(125, 'p')), client_frame(kFinal | 8, "\3\xe8")});
  const std::string expected = "9:ping 10: 9:" + std::string(125, 'p') + " 8:\3\xe8 ";
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 100u, 10'000u}) {
    const Heard heard = hear(stream, piece);
    CHECK_FALSE(heard.error);
    CHECK(heard.control == expected);
  }
}

TEST_CASE("what RFC 6455 forbids clients is refused", "[websocket]") {
  const std::vector<ByteBuffer> forbidden{
      bytes({0x89, 0}),                                              // no mask
      client_frame(kFinal | 0x40 | 9, ""),                           // reserved bits
      client_frame(kFinal | 3, ""),                                  // reserved opcodes
      client_frame(kFinal | 11, ""),                                 //
      client_frame(9, ""),                                           // control in fragments
      bytes({0x89, 0xfe, 0, 126}),                                   // control of 126 bytes
      client_frame(kFinal | 8, "x"),                                 // half a code
      client_frame(kFinal | 0, "x"),                                 // continues nothing
      joined({client_frame(1, "x"), client_frame(kFinal | 1, "")}),  // one in another
      bytes({0x82, 0xfe, 0, 125, 0, 0, 0, 0}),                       // length could be shorter
      bytes({0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}),
  };
  for (const auto& each : forbidden) {
    CHECK(hear(each).error == Errc::Protocol);
    CHECK(hear(each, 1).error == Errc::Protocol);
  }
}

TEST_CASE("a message may have kMaxMessage bytes, in one frame or several", "[websocket]") {
  const std::string most(FrameReader::kMaxMessage, 'm');
  CHECK_FALSE(hear(client_frame(kFinal | 2, most)).error);
  CHECK(hear(client_frame(kFinal | 2, most + "m")).error == Errc::Limit);
  CHECK_FALSE(hear(joined({client_frame(kFinal | 2, most), client_frame(kFinal | 2, most)})).error);
  const ByteBuffer first = client_frame(2, most.substr(1));
  CHECK_FALSE(hear(joined({first, client_frame(kFinal | 0, "x")})).error);
  CHECK(hear(joined({first, client_frame(kFinal | 0, "xx")})).error == Errc::Limit);
  CHECK(
      hear(bytes({0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})).error ==
      Errc::Limit);
}
