// common/wire/mpd.h
// DASH manifests (ISO/IEC 23009-1): where their URIs are, and what a cache has to know of them.
//
//     <MPD type="dynamic" minimumUpdatePeriod="PT2S">
//       <Location>  <PatchLocation>  <ContentSteering>       ◄ the text of these
//       <Period xlink:href="...">                            ◄ and these attributes
//         <BaseURL>
//         <SegmentTemplate media= initialization= index= bitstreamSwitching=>
//         <SegmentList> <SegmentURL media= index=>
//         <Initialization sourceURL=>, RepresentationIndex and BitstreamSwitching alike
//         <InitializationSet initialization=>
//
// Templates are rewritten as they are written, with their $Number$. All other bytes stay.
//
// What is relative to a BaseURL elsewhere is elsewhere too, and not shown to the rewriter.
// Elsewhere is an absolute BaseURL that the rewriter leaves alone, and what is relative to one.
// Where there are several to choose from, all of them have to be. A BaseURL that ends in a slash is
// UriUse::Base: some players would put what it gains in front of each segment's name.
//
// Patches and elements that xlink leads to are documents of their own with the same words in them;
// so any root element will do.
//
// Threading: pure functions. Bounds: Limits and xml::Limits; what is allocated is the result, which
// is the text with each URI as its rewriter wants it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "common/wire/uri.h"

namespace weir::mpd {

struct Limits {
  std::size_t bytes = 1 << 20;
};

struct Facts {
  bool manifest = false;  // its root is MPD
  bool dynamic = false;   // it may change
  std::optional<std::chrono::milliseconds> minimum_update_period;

  friend bool operator==(const Facts&, const Facts&) = default;
};

// Both give Errc::Protocol for what is not well-formed, or has a URI with markup in it, and
// Errc::Limit beyond the limits.
Result<Facts> inspect(std::string_view text, const Limits& limits = {});
Result<std::string> rewrite(std::string_view text, const UriRewriter& rewriter,
                            const Limits& limits = {});

}  // namespace weir::mpd
