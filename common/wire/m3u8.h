// common/wire/m3u8.h
// HLS playlists (RFC 8216bis, low latency included): where their URIs are, and what a cache has to
// know of them.
//
//     #EXTM3U
//     #EXT-X-MAP:URI="init.mp4"             ◄ the attributes URI, SERVER-URI, X-ASSET-URI and
//     #EXT-X-PART:DURATION=0.3,URI="7.0.m4s"    X-ASSET-LIST of every EXT-X tag
//     #EXTINF:2,
//     7.m4s                                 ◄ every line that is neither empty nor begins with '#'
//
// Why every tag and not a list of them: MAP, PART, PRELOAD-HINT, RENDITION-REPORT, KEY,
// SESSION-KEY, SESSION-DATA, MEDIA, I-FRAME-STREAM-INF, CONTENT-STEERING and DATERANGE agree on
// these names, and so do the tags that others invent, such as IMAGE-STREAM-INF. A URI that was
// overlooked would be fetched from the wrong origin; one tag more costs nothing.
//
// A tag that is not written as it should be keeps its bytes, and so does all else that is not a
// URI: players know better than we do what they can bear.
//
// Threading: pure functions. Bounds: Limits; what is allocated is the result, which is the text
// with each URI as its rewriter wants it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "common/wire/uri.h"

namespace weir::m3u8 {

struct Limits {
  std::size_t bytes = 1 << 20;
  std::size_t lines = 131'072;      // a megabyte of the shortest segments that are used
  std::size_t line_bytes = 32'768;  // keys as data: URIs are the longest
};

struct Facts {
  bool multivariant = false;  // it leads to playlists, not to media
  bool ended = false;         // it will not change any more
  bool can_block_reload = false;
  std::optional<std::chrono::milliseconds> target_duration;
  std::optional<std::chrono::milliseconds> part_target;

  friend bool operator==(const Facts&, const Facts&) = default;
};

// Both give Errc::Protocol for what does not begin with #EXTM3U, Errc::Limit beyond the limits.
Result<Facts> inspect(std::string_view text, const Limits& limits = {});
Result<std::string> rewrite(std::string_view text, const UriRewriter& rewriter,
                            const Limits& limits = {});

}  // namespace weir::m3u8
