#include "proxy/playlist_relay.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/wire/m3u8.h"
#include "common/wire/mpd.h"

namespace weir {
namespace {

constexpr std::string_view kTagMark = ".weir-";

constexpr std::string_view kHlsTypes[] = {"application/vnd.apple.mpegurl", "application/x-mpegurl",
                                          "application/mpegurl", "audio/mpegurl",
                                          "audio/x-mpegurl"};
constexpr std::string_view kMedia[] = {"flv",  "ts",  "m4s", "mp4", "m4v", "m4a", "cmfv",
                                       "cmfa", "aac", "ac3", "mp3", "vtt", "webm"};
constexpr std::string_view kDashTypes[] = {"application/dash+xml", "application/dash-patch+xml"};

bool is_any(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(
      words, [text](std::string_view word) { return http::same_ignoring_case(text, word); });
}

// Without the dot; empty when there is none.
std::string_view extension_of(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const std::size_t dot = path.find_last_of("./");
  if (dot == std::string_view::npos || path[dot] == '/') return {};
  return path.substr(dot + 1);
}

std::optional<PlaylistType> type_of_path(std::string_view target) {
  const std::string_view extension = extension_of(target);
  if (is_any(extension, std::to_array<std::string_view>({"m3u8", "m3u"}))) return PlaylistType::Hls;
  if (is_any(extension, std::to_array<std::string_view>({"mpd", "mpp"}))) return PlaylistType::Dash;
  return std::nullopt;
}

std::optional<PlaylistType> type_of_content(const http::Headers& headers) {
  const std::string_view given = headers.find("Content-Type").value_or("");
  const std::string_view type = http::trim(given.substr(0, given.find(';')));
  if (is_any(type, kHlsTypes)) return PlaylistType::Hls;
  if (is_any(type, kDashTypes)) return PlaylistType::Dash;
  return std::nullopt;
}

// What is between the quotes; nothing for "*" and what is no entity tag.
std::optional<std::string_view> opaque_tag(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() < 2 || !tag.starts_with('"') || !tag.ends_with('"')) return std::nullopt;
  return tag.substr(1, tag.size() - 2);
}

// The token that an entity tag carries, and what is before its mark.
struct BoundTag {
  std::string_view tag;
  std::string_view token;
};
std::optional<BoundTag> bound_tag(std::string_view tag) {
  const auto opaque = opaque_tag(tag);
  const std::size_t mark = opaque ? opaque->rfind(kTagMark) : std::string_view::npos;
  if (mark == std::string_view::npos) return std::nullopt;
  return BoundTag{opaque->substr(0, mark), opaque->substr(mark + kTagMark.size())};
}

}  // namespace

bool names_playlist(std::string_view target) { return type_of_path(target).has_value(); }

std::optional<PlaylistType> playlist_type(std::string_view target, const http::Response& response) {
  if (response.status != 200) return std::nullopt;
  for (const std::string_view coding : response.headers.find_all("Content-Encoding"))
    if (!http::same_ignoring_case(coding, "identity")) return std::nullopt;
  const auto by_content = type_of_content(response.headers);
  return by_content ? by_content : type_of_path(target);
}

void ask_for_whole(http::Headers& request) {
  for (const char* name :
       {"Accept-Encoding", "Range", "If-Range", "If-Modified-Since", "If-Unmodified-Since"})
    request.remove(name);
}

bool names_media(std::string_view target) {
  return names_playlist(target) || is_any(extension_of(target), kMedia);
}

bool is_blocking_reload(std::string_view target) {
  return target.find("_HLS_msn=") != std::string_view::npos;
}

bool release_tags(http::Headers& request, std::string_view token, const OriginNaming& naming) {
  const auto tags = request.find_all("If-None-Match");
  if (tags.empty()) return false;
  std::vector<std::string> kept;
  bool released = false;
  for (const std::string_view list : tags) {
    for (const std::string_view tag : http::split_list(list)) {
      const auto bound = bound_tag(tag);
      if (bound && bound->token == token) {
        kept.push_back(fmt::format("\"{}\"", bound->tag));
        released = true;
      } else if (!bound || !naming.is_ours(bound->token)) {
        kept.emplace_back(tag);
      }
    }
  }
  if (kept.empty())
    request.remove("If-None-Match");
  else
    request.set("If-None-Match", fmt::format("{}", fmt::join(kept, ", ")));
  return released;
}

bool is_bound_by_others(const http::Headers& response, const OriginNaming& naming) {
  const auto tag = response.find("ETag");
  const auto bound = tag ? bound_tag(*tag) : std::nullopt;
  return bound && !naming.is_ours(bound->token);
}

void bind_validators(http::Headers& response, std::string_view token, bool keep_tag) {
  for (const char* name :
       {"Last-Modified", "Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest"})
    response.remove(name);
  const auto tag = response.find("ETag");
  const auto opaque = tag ? opaque_tag(*tag) : std::nullopt;
  if (keep_tag && opaque)
    response.set("ETag", fmt::format("W/\"{}{}{}\"", *opaque, kTagMark, token));
  else
    response.remove("ETag");
}

Result<std::string> bind_playlist(std::string_view text, const PlaylistBinding& binding,
                                  http::Headers& response) {
  if (text.size() > kMaxPlaylist)
    return fail(Errc::Limit, fmt::format("more than {} bytes", kMaxPlaylist));
  const auto bind = [&](std::string_view uri, UriUse use) { return binding.uris.bind(uri, use); };
  auto bound = binding.type == PlaylistType::Hls
                   ? m3u8::rewrite(text, bind, {.bytes = kMaxPlaylist})
                   : mpd::rewrite(text, bind, {.bytes = kMaxPlaylist});
  const bool ours = bound && !(binding.leaves_named && *bound == text);
  if (ours) bind_validators(response, binding.token, binding.keep_tag);
  return bound;
}

}  // namespace weir
