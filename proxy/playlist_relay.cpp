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
constexpr std::string_view kDashTypes[] = {"application/dash+xml", "application/dash-patch+xml"};

bool is_any(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(
      words, [text](std::string_view word) { return http::same_ignoring_case(text, word); });
}

std::optional<PlaylistType> type_of_path(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const std::size_t dot = path.find_last_of("./");
  if (dot == std::string_view::npos || path[dot] == '/') return std::nullopt;
  const std::string_view extension = path.substr(dot + 1);
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

void release_tags(http::Headers& request, std::string_view token) {
  const auto tags = request.find_all("If-None-Match");
  if (tags.empty()) return;
  std::vector<std::string> released;
  for (const std::string_view list : tags) {
    for (const std::string_view tag : http::split_list(list)) {
      const auto opaque = opaque_tag(tag);
      const std::size_t mark = opaque ? opaque->rfind(kTagMark) : std::string_view::npos;
      if (mark == std::string_view::npos)
        released.emplace_back(tag);
      else if (opaque->substr(mark + kTagMark.size()) == token)
        released.push_back(fmt::format("\"{}\"", opaque->substr(0, mark)));
    }
  }
  if (released.empty())
    request.remove("If-None-Match");
  else
    request.set("If-None-Match", fmt::format("{}", fmt::join(released, ", ")));
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

Task<Result<PlaylistBody>> read_playlist(http::ClientConnection& origin, Deadline deadline) {
  PlaylistBody body;
  while (true) {
    auto piece = co_await origin.read_body(deadline);
    if (!piece && piece.error().code == Errc::Closed) co_return std::move(body);
    if (!piece) co_return std::unexpected(piece.error());
    body.text += as_text(*piece);
    if (body.text.size() > kMaxPlaylist) {
      body.whole = false;
      co_return std::move(body);
    }
  }
}

Result<std::string> bind_playlist(std::string_view text, PlaylistType type,
                                  const OriginUris& uris) {
  const auto bind = [&uris](std::string_view uri, UriUse use) { return uris.bind(uri, use); };
  return type == PlaylistType::Hls ? m3u8::rewrite(text, bind, {.bytes = kMaxPlaylist})
                                   : mpd::rewrite(text, bind, {.bytes = kMaxPlaylist});
}

}  // namespace weir
