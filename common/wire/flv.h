// common/wire/flv.h
// FLV (Adobe FLV 10.1, annex E): writing tags into memory, reading them from a stream, and telling
// metadata.
//
//     file header 9 │ 0 │ tag header 11 │ body │ tag size 4 │ tag header 11 │ body │ ...
//                                        └─────── Tag::body
//
// Threading: plain values, each used by one thread at a time.
//
// Bounds: a TagReader holds the tag under way and nothing else: its memory grows as bytes arrive,
// never on the word of a length field, and stops at the body limit.
#pragma once

#include <optional>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::flv {

enum class TagType : std::uint8_t { Audio = 8, Video = 9, Script = 18 };

struct Tag {
  TagType type = TagType::Script;
  std::uint32_t timestamp_ms = 0;  // wraps at 2^32
  ByteView body;
};

inline constexpr std::size_t kFileHeaderSize = 13;  // with the first zero behind it
inline constexpr std::size_t kTagHeaderSize = 11;
inline constexpr std::size_t kTagOverhead = 15;
inline constexpr std::size_t kMaxBody = 0xffffff;
inline constexpr std::size_t kDefaultBodyLimit = 8 << 20;

// Each returns the byte after what it wrote.
// REQUIRES: room for kFileHeaderSize.
std::uint8_t* write_file_header(std::uint8_t* out, bool audio, bool video);
// REQUIRES: room for body.size() + kTagOverhead; body.size() <= kMaxBody; the body lies outside of
// that room.
std::uint8_t* write_tag(std::uint8_t* out, TagType type, std::uint32_t timestamp_ms, ByteView body);

// Tags out of a stream that comes in pieces of any size.
//
//     while (true) { auto tag = reader.next(input);
//       if (!tag) return tag.error();   // the stream is lost: do not go on
//       if (!*tag) break;               // input is used up: read more
//       use(**tag); }
//
// Strict in what says that this is FLV at all: signature, version, tag types; a filtered
// (encrypted) tag is refused. Lenient in what servers get wrong without harm: sizes of the tag
// before, stream ids, header flags.
class TagReader {
 public:
  explicit TagReader(std::size_t body_limit = kDefaultBodyLimit) : body_limit_(body_limit) {}

  // Takes from `input` until a tag is whole. Its body holds until the next call. Errors: Protocol,
  // Limit.
  Result<std::optional<Tag>> next(ByteView& input);

 private:
  Result<void> read_file_header();
  Result<void> read_tag_header();
  // Takes from `input` until buffer_ has `size` bytes; false when it runs out before.
  bool fill(ByteView& input, std::size_t size);

  enum class Expect : std::uint8_t { FileHeader, TagHeader, Body };

  std::size_t body_limit_;
  Expect expect_ = Expect::FileHeader;
  Tag tag_;
  std::size_t body_size_ = 0;
  ByteBuffer buffer_;  // the part under way, or the body handed out
  bool handed_out_ = false;
};

// Of script tags and AMF0 data messages: whether the body is onMetaData, be it behind
// @setDataFrame.
bool is_metadata(ByteView body);
// The body without a leading @setDataFrame, which is the publisher's word to its server, not for
// viewers.
ByteView strip_set_data_frame(ByteView body);

}  // namespace weir::flv
