#include "common/wire/flv.h"

#include <string>
#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::flv;

namespace {

ByteBuffer file_header() {
  ByteBuffer out(kFileHeaderSize);
  REQUIRE(write_file_header(out.data(), true, true) == out.data() + out.size());
  return out;
}

ByteBuffer tag_bytes(TagType type, std::uint32_t timestamp_ms, ByteView body) {
  ByteBuffer out(body.size() + kTagOverhead);
  REQUIRE(write_tag(out.data(), type, timestamp_ms, body) == out.data() + out.size());
  return out;
}

ByteBuffer small_file() {
  ByteBuffer file = file_header();
  append(file, tag_bytes(TagType::Script, 0, as_bytes("script")));
  append(file, tag_bytes(TagType::Video, 0xfedcba98, as_bytes("a video frame")));
  append(file, tag_bytes(TagType::Audio, 40, {}));
  append(file, tag_bytes(TagType::Audio, 41, as_bytes("x")));
  return file;
}

// Reads pieces of `piece` bytes and writes down each tag.
Result<std::string> read_in_pieces(ByteView file, std::size_t piece,
                                   std::size_t body_limit = 1000) {
  TagReader reader(body_limit);
  std::string seen;
  while (!file.empty()) {
    ByteView input = file.first(std::min(piece, file.size()));
    file = file.subspan(input.size());
    for (;;) {
      auto tag = reader.next(input);
      if (!tag) return std::unexpected(tag.error());
      if (!*tag) break;
      seen += std::to_string(static_cast<int>((*tag)->type)) + "@" +
              std::to_string((*tag)->timestamp_ms) + ":" + std::string(as_text((*tag)->body)) + ";";
    }
    CHECK(input.empty());
  }
  return seen;
}

Errc code_of(const ByteBuffer& file, std::size_t body_limit = 1000) {
  auto seen = read_in_pieces(file, file.size(), body_limit);
  REQUIRE_FALSE(seen.has_value());
  return seen.error().code;
}

ByteBuffer with_byte(ByteBuffer bytes, std::size_t at, std::uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

ByteBuffer amf_string(std::string_view text) {
  ByteBuffer out = {2, 0, static_cast<std::uint8_t>(text.size())};
  append(out, as_bytes(text));
  return out;
}

}  // namespace

TEST_CASE("a file header and a tag have the bytes of the specification", "[flv]") {
  CHECK(file_header() == ByteBuffer{'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0});
  CHECK(tag_bytes(TagType::Video, 0x01020304, as_bytes("ab")) ==
        ByteBuffer{9, 0, 0, 2, 2, 3, 4, 1, 0, 0, 0, 'a', 'b', 0, 0, 0, 13});
  ByteBuffer audio_only(kFileHeaderSize);
  write_file_header(audio_only.data(), true, false);
  CHECK(audio_only[4] == 4);
}

TEST_CASE("tags come out whole however the stream is cut", "[flv]") {
  const ByteBuffer file = small_file();
  const std::string whole = "18@0:script;9@4275878552:a video frame;8@40:;8@41:x;";
  for (std::size_t piece = 1; piece <= file.size(); ++piece)
    CHECK(read_in_pieces(file, piece).value() == whole);
}

TEST_CASE("a tag does not wait for the size that follows it", "[flv]") {
  ByteBuffer file = file_header();
  append(file, tag_bytes(TagType::Video, 0, as_bytes("frame")));
  CHECK(read_in_pieces(ByteView(file).first(file.size() - 4), 1000).value() == "9@0:frame;");
}

TEST_CASE("wrong sizes of the tag before, stream ids and header flags do no harm", "[flv]") {
  ByteBuffer file = small_file();
  const std::string whole = read_in_pieces(file, 1).value();
  file[4] = 0xff;
  for (std::size_t i = 9; i < 13; ++i) file[i] = 0xff;
  const std::size_t behind_script = kFileHeaderSize + kTagHeaderSize + 6;
  for (std::size_t i = 0; i < 4; ++i) file[behind_script + i] = 0xff;
  file[kFileHeaderSize + 10] = 1;
  CHECK(read_in_pieces(file, 3).value() == whole);
}

TEST_CASE("what is not FLV is refused", "[flv]") {
  const ByteBuffer file = small_file();
  CHECK(code_of(with_byte(file, 0, 'G')) == Errc::Protocol);
  CHECK(code_of(with_byte(file, 3, 2)) == Errc::Protocol);
  CHECK(code_of(with_byte(file, 8, 10)) == Errc::Protocol);
  for (int type : {0, 7, 10, 17, 19, 64 + 9, 128 + 9})
    CHECK(code_of(with_byte(file, kFileHeaderSize, static_cast<std::uint8_t>(type))) ==
          Errc::Protocol);
}

TEST_CASE("an encrypted tag is refused by name", "[flv]") {
  auto seen = read_in_pieces(with_byte(small_file(), kFileHeaderSize, 32 + 9), 100);
  REQUIRE_FALSE(seen.has_value());
  CHECK(seen.error().text == "FLV tag is encrypted");
}

TEST_CASE("a body may have as many bytes as the limit and not one more", "[flv]") {
  ByteBuffer file = file_header();
  append(file, tag_bytes(TagType::Video, 0, ByteBuffer(500, 'v')));
  CHECK(read_in_pieces(file, 100, 500).has_value());
  CHECK(code_of(file, 499) == Errc::Limit);
}

TEST_CASE("a body at and past the default limit", "[flv]") {
  for (std::size_t extra : {0, 1}) {
    ByteBuffer file = file_header();
    append(file, tag_bytes(TagType::Video, 0, ByteBuffer(kDefaultBodyLimit + extra)));
    TagReader reader;
    ByteView input = file;
    auto tag = reader.next(input);
    REQUIRE(tag.has_value() == (extra == 0));
    if (tag) CHECK((*tag)->body.size() == kDefaultBodyLimit);
  }
}

TEST_CASE("metadata is known with and without @setDataFrame", "[flv]") {
  ByteBuffer plain = amf_string("onMetaData");
  append(plain, ByteBuffer{8, 0, 0, 0, 0, 0, 0, 9});
  ByteBuffer framed = amf_string("@setDataFrame");
  append(framed, plain);

  CHECK(is_metadata(plain));
  CHECK(is_metadata(framed));
  const ByteView stripped = strip_set_data_frame(framed);
  CHECK(ByteBuffer(stripped.begin(), stripped.end()) == plain);
  CHECK(strip_set_data_frame(plain).data() == plain.data());
  CHECK(strip_set_data_frame(plain).size() == plain.size());

  CHECK_FALSE(is_metadata(amf_string("onTextData")));
  CHECK_FALSE(is_metadata(amf_string("onMetaDataX")));
  CHECK_FALSE(is_metadata(amf_string("@setDataFrame")));
  CHECK_FALSE(is_metadata({}));
  for (std::size_t size = 0; size < 13; ++size)
    CHECK_FALSE(is_metadata(ByteView(plain).first(size)));
}
