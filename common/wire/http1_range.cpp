#include "common/wire/http1_range.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/wire/http1_headers.h"

namespace weir::http {

std::optional<RangeRequest> parse_range(std::string_view value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos || !same_ignoring_case(value.substr(0, equals), "bytes"))
    return std::nullopt;
  const std::string_view spec = trim(value.substr(equals + 1));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  // A list is refused here, for a comma is no part of a number.
  const auto before = parse_content_length(spec.substr(0, dash));
  const auto after = parse_content_length(spec.substr(dash + 1));
  const bool open = dash + 1 == spec.size();
  if (dash == 0)
    return after ? std::optional(RangeRequest{.first = {}, .last = {}, .suffix = *after})
                 : std::nullopt;
  if (!before || (!after && !open) || (after && *after < *before)) return std::nullopt;
  return RangeRequest{.first = before, .last = after, .suffix = 0};
}

std::optional<Extent> resolve(const RangeRequest& range, std::uint64_t size) {
  if (!range.first) {
    const std::uint64_t length = std::min(range.suffix, size);
    if (length == 0) return std::nullopt;
    return Extent{size - length, length};
  }
  if (*range.first >= size) return std::nullopt;
  const std::uint64_t last = std::min(range.last.value_or(size - 1), size - 1);
  return Extent{*range.first, last - *range.first + 1};
}

std::string content_range(std::optional<Extent> extent, std::uint64_t size) {
  if (!extent) return fmt::format("bytes */{}", size);
  return fmt::format("bytes {}-{}/{}", extent->first, extent->end() - 1, size);
}

}  // namespace weir::http
