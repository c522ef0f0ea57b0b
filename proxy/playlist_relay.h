// proxy/playlist_relay.h
// What the relay does to playlists and manifests on their way: each URI in them gets the token of
// the origin that they came from (origin_token.h). Always, be there one origin or many, so that
// what a viewer holds goes on working when a second one joins.
//
// What is not as it should be goes through untouched, with a log line: larger than kMaxPlaylist,
// compressed without having been asked to, or no playlist at all whatever its name says.
//
// Validators. The same entity tag at two origins may mean the same file, yet not the same text from
// us. So a tag becomes weak and carries the token, `"e"` ─► `W/"e.weir-TOKEN"`, and what comes back
// is shown to that origin alone. Dates cannot carry one; they and the digests are left out.
//
// Threading: pure functions. Bounds: kMaxPlaylist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/http1.h"
#include "proxy/origin_token.h"

namespace weir {

inline constexpr std::size_t kMaxPlaylist = 1 << 20;

enum class PlaylistType : std::uint8_t { Hls, Dash };

// By the extension of a target's path: what is asked for should be a playlist.
bool names_playlist(std::string_view target);

// A blocking reload of LL-HLS: it is answered when what it asks for exists.
bool is_blocking_reload(std::string_view target);

// What a response to GET or HEAD brings, if it is one that can be read: status 200 and not encoded.
std::optional<PlaylistType> playlist_type(std::string_view target, const http::Response& response);

// Makes a request for a playlist one for all of it, as it is, whatever its date.
void ask_for_whole(http::Headers& request);

// Whether it may be part of a live stream, or leads to one: a playlist, a manifest, a segment, FLV.
bool names_media(std::string_view target);

// Turns the entity tags of If-None-Match that carry `token` back into the origin's own, and leaves
// out those that carry another of ours. Whether there were any of the former.
bool release_tags(http::Headers& request, std::string_view token, const OriginNaming& naming = {});
// Whether a response's entity tag carries another tier's token.
bool is_bound_by_others(const http::Headers& response, const OriginNaming& naming);

// Makes a response's validators those of the text with tokens. `keep_tag`: whoever comes back with
// it will pass release_tags().
void bind_validators(http::Headers& response, std::string_view token, bool keep_tag);

// Of one response: what its playlist is bound with.
struct PlaylistBinding {
  PlaylistType type;
  OriginUris uris;
  std::string token;
  bool keep_tag = false;      // as bind_validators()
  bool leaves_named = false;  // as OriginNaming: a playlist without a URI of ours is not ours
};
// The text with its URIs bound and `response` its headers; or why it stays as it is.
Result<std::string> bind_playlist(std::string_view text, const PlaylistBinding& binding,
                                  http::Headers& response);

}  // namespace weir
