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
// Threading: pure functions, and a coroutine of the connection's loop. Bounds: kMaxPlaylist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/client_connection.h"
#include "proxy/origin_token.h"

namespace weir {

inline constexpr std::size_t kMaxPlaylist = 1 << 20;

enum class PlaylistType : std::uint8_t { Hls, Dash };

// By the extension of a target's path: what is asked for should be a playlist.
bool names_playlist(std::string_view target);

// What a response to GET or HEAD brings, if it is one that can be read: status 200 and not encoded.
std::optional<PlaylistType> playlist_type(std::string_view target, const http::Response& response);

// Makes a request for a playlist one for all of it, as it is, whatever its date.
void ask_for_whole(http::Headers& request);

// Turns the entity tags of If-None-Match that carry `token` back into the origin's own, and leaves
// out those that carry another.
void release_tags(http::Headers& request, std::string_view token);

// Makes a response's validators those of the text with tokens. `keep_tag`: whoever comes back with
// it will pass release_tags().
void bind_validators(http::Headers& response, std::string_view token, bool keep_tag);

struct PlaylistBody {
  std::string text;
  bool whole = true;  // false: there is more, beyond kMaxPlaylist
};
Task<Result<PlaylistBody>> read_playlist(http::ClientConnection& origin, Deadline deadline);

// With its URIs bound, or why it cannot be done.
Result<std::string> bind_playlist(std::string_view text, PlaylistType type, const OriginUris& uris);

}  // namespace weir
