#include "common/wire/flv.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace weir::flv {
namespace {

constexpr std::size_t kSignatureHeaderSize = 9;
constexpr std::size_t kPreviousTagSize = 4;
constexpr std::uint8_t kHasAudio = 0x04;
constexpr std::uint8_t kHasVideo = 0x01;
constexpr std::uint8_t kFilterBit = 0x20;

// What follows the AMF0 string `text` at the front of `body`.
std::optional<ByteView> after_string(ByteView body, std::string_view text) {
  constexpr std::uint8_t kAmf0String = 2;
  if (body.size() < 3 + text.size() || body[0] != kAmf0String) return std::nullopt;
  if (load_be16(body.data() + 1) != text.size()) return std::nullopt;
  if (as_text(body.subspan(3, text.size())) != text) return std::nullopt;
  return body.subspan(3 + text.size());
}

}  // namespace

std::uint8_t* write_file_header(std::uint8_t* out, bool audio, bool video) {
  *out++ = 'F';
  *out++ = 'L';
  *out++ = 'V';
  *out++ = 1;
  *out++ = static_cast<std::uint8_t>((audio ? kHasAudio : 0) | (video ? kHasVideo : 0));
  out = store_be32(out, kSignatureHeaderSize);
  return store_be32(out, 0);
}

std::uint8_t* write_tag(std::uint8_t* out, TagType type, std::uint32_t timestamp_ms,
                        ByteView body) {
  INVARIANT(body.size() <= kMaxBody, body.size());
  const auto size = static_cast<std::uint32_t>(body.size());
  *out++ = static_cast<std::uint8_t>(type);
  out = store_be24(out, size);
  out = store_be24(out, timestamp_ms);
  *out++ = static_cast<std::uint8_t>(timestamp_ms >> 24);
  out = store_be24(out, 0);  // stream id
  out = std::copy(body.begin(), body.end(), out);
  return store_be32(out, size + kTagHeaderSize);
}

Result<std::optional<Tag>> TagReader::next(ByteView& input) {
  if (std::exchange(handed_out_, false)) buffer_.clear();
  for (;;) {
    switch (expect_) {
      case Expect::FileHeader: {
        if (!fill(input, kSignatureHeaderSize)) return std::nullopt;
        auto header = read_file_header();
        if (!header) return std::unexpected(std::move(header.error()));
        expect_ = Expect::TagHeader;
        buffer_.clear();
        break;
      }
      case Expect::TagHeader: {
        // The size of the tag before belongs to this step, so that no tag waits for what follows
        // it.
        if (!fill(input, kPreviousTagSize + kTagHeaderSize)) return std::nullopt;
        auto header = read_tag_header();
        if (!header) return std::unexpected(std::move(header.error()));
        expect_ = Expect::Body;
        buffer_.clear();
        break;
      }
      case Expect::Body: {
        if (!fill(input, body_size_)) return std::nullopt;
        expect_ = Expect::TagHeader;
        handed_out_ = true;
        tag_.body = buffer_;
        return tag_;
      }
    }
  }
}

bool TagReader::fill(ByteView& input, std::size_t size) {
  const std::size_t part = std::min(input.size(), size - buffer_.size());
  append(buffer_, input.first(part));
  input = input.subspan(part);
  return buffer_.size() == size;
}

Result<void> TagReader::read_file_header() {
  if (as_text(ByteView(buffer_).first(3)) != "FLV") return fail(Errc::Protocol, "not FLV");
  if (buffer_[3] != 1) return fail(Errc::Protocol, fmt::format("FLV version {}", buffer_[3]));
  const std::uint32_t size = load_be32(buffer_.data() + 5);
  if (size != kSignatureHeaderSize)
    return fail(Errc::Protocol, fmt::format("FLV header of {} bytes", size));
  return {};
}

Result<void> TagReader::read_tag_header() {
  const std::uint8_t* p = buffer_.data() + kPreviousTagSize;
  if (p[0] & kFilterBit) return fail(Errc::Protocol, "FLV tag is encrypted");
  tag_.type = TagType{p[0]};
  switch (tag_.type) {
    case TagType::Audio:
    case TagType::Video:
    case TagType::Script: break;
    default: return fail(Errc::Protocol, fmt::format("FLV tag of type {}", p[0]));
  }
  body_size_ = load_be24(p + 1);
  if (body_size_ > body_limit_)
    return fail(Errc::Limit, fmt::format("FLV tag of {} bytes", body_size_));
  tag_.timestamp_ms = load_be24(p + 4) | std::uint32_t{p[7]} << 24;
  return {};
}

bool is_metadata(ByteView body) {
  return after_string(strip_set_data_frame(body), "onMetaData").has_value();
}

ByteView strip_set_data_frame(ByteView body) {
  return after_string(body, "@setDataFrame").value_or(body);
}

}  // namespace weir::flv
