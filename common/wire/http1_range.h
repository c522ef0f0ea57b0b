// common/wire/http1_range.h
// Range requests for bytes, RFC 9110 section 14, and their answers' Content-Range.
//
// One range is understood. Several are allowed to be ignored (RFC 9110 14.2), and are: nobody who
// plays media asks for them, and they are how a small request makes a large answer.
//
// Threading: pure functions. Bounds: numbers fit 63 bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {

// As asked for: `bytes=first-last`, `bytes=first-`, `bytes=-suffix`.
struct RangeRequest {
  std::optional<std::uint64_t> first;  // nothing: the last `suffix` bytes
  std::optional<std::uint64_t> last;   // inclusive; nothing: to the end
  std::uint64_t suffix = 0;

  friend bool operator==(const RangeRequest&, const RangeRequest&) = default;
};

// A stretch of a representation.
struct Extent {
  std::uint64_t first = 0;
  std::uint64_t length = 0;

  std::uint64_t end() const { return first + length; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

// The value of a Range field. Nothing when it is to be ignored: another unit, several ranges, or
// malformed.
std::optional<RangeRequest> parse_range(std::string_view value);

// What is meant of a representation of `size` bytes. Nothing: it cannot be satisfied, 416.
std::optional<Extent> resolve(const RangeRequest& range, std::uint64_t size);

// "bytes 0-99/1000"; "bytes */1000" without extent. REQUIRES: extent.length > 0.
std::string content_range(std::optional<Extent> extent, std::uint64_t size);

}  // namespace weir::http
