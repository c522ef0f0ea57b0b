// common/access/access_request.h
// Somebody who wants to publish or play, as whoever decides about it sees them; the same for every
// protocol.
//
// What is asked for goes by names: "/live/cam", and "a.org/live/cam" where a virtual host other than
// the default one is meant. A request for a file over HTTP may be about several streams, for its path
// does not say which part of it names one:
//
//     /live/cam.m3u8          /live/cam
//     /live/cam-17.ts         /live/cam-17   /live/cam
//     /live/cam/index.m3u8    /live/cam/index   /live/cam
//     /live/cam/720p/5.m4s    /live/cam/720p/5   /live/cam/720p   /live/cam
//
// What is granted for one of them is granted for the request.
//
// Threading: values and pure functions. Bounds: kMaxNames names of a request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/io/address.h"

namespace weir {

enum class AccessAction : std::uint8_t { Play, Publish };

constexpr std::string_view name(AccessAction action) {
  return action == AccessAction::Publish ? "publish" : "play";
}

struct AccessRequest {
  AccessAction action = AccessAction::Play;
  std::string_view protocol{};     // a literal: "rtmp", "flv", "http", "srt", "rtsp", "webrtc"
  std::string key{};               // the stream's, or a file's route key
  std::vector<std::string> names;  // what it may be about; the one most likely meant first
  Address peer{};
  std::string query{};          // the URL's arguments, without the question mark
  std::string authorization{};  // the header's value
  std::string target{};         // path and query as they came, for HTTP
  std::string tc_url{};
  std::string page_url{};
  std::string id{};  // under which logs know the session
};

// Why not; the values of the label `reason`.
enum class AccessReason : std::uint8_t {
  Address,       // not from there
  NoToken,       // something must be shown, and was not
  BadToken,      // what was shown is not what was signed
  Expired,       // it was, but not for this time
  OtherStream,   // nor for this stream, or for this action
  Hook,          // a callback said no
  HookDown,      // or did not say anything
  Upstream,      // an upstream said no
  UpstreamDown,  // or did not say anything
  Viewers,       // the stream has as many viewers as it may
};
inline constexpr int kAccessReasons = 10;
std::string_view name(AccessReason reason);

struct AccessRefusal {
  AccessReason reason = AccessReason::BadToken;
  std::string text{};  // for people, without secrets

  Error error() const;      // Denied, Limit or Unavailable
  int http_status() const;  // 401, 403 or 503; RTSP's are the same
};

inline std::unexpected<AccessRefusal> refuse(AccessReason reason, const char* why) {
  return std::unexpected(AccessRefusal{reason, why});
}

inline constexpr std::size_t kMaxNames = 8;

// "/live/cam" for "__defaultVhost__/live/cam".
std::string access_name(std::string_view key);
// Of a file's route key. `path` is the request's, for its extension.
std::vector<std::string> access_names(std::string_view key, std::string_view path);
// Playlists and manifests: where a player begins.
bool is_playlist_path(std::string_view path);

// The first value of an argument; nothing when there is none. Arguments are separated by '&', '?' or
// ';', and are not decoded.
std::string_view access_argument(std::string_view query, std::string_view name);
// What a header `Authorization: Bearer ...` carries; empty for another scheme.
std::string_view bearer_token(std::string_view authorization);

}  // namespace weir
