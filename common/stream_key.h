// common/stream_key.h
// One key for the same stream whichever way it is named.
//
//     rtmp://host:1935/live/cam?token=1                  ┐
//     rtmp://host/live, stream /cam                      ├─►  __defaultVhost__/live/cam
//     http://127.0.0.1:8080/live/cam.flv                 ┘
//     rtmp://host/live?vhost=a.org/cam                   ┐
//     rtmp://a.org/live, stream cam                      ├─►  a.org/live/cam
//     http://A.ORG/live/cam.m3u8                         │
//     rtsp://a.org:554/live/cam/                         │
//     srt, streamid #!::h=a.org,r=live/cam               ┘
//
// The rules
// - vhost: the first non-empty `vhost=` argument, else `domain=`, else the host. Lower case,
//   without
//   port and trailing dot. An IP address, a name without a dot and no name at all are the default.
// - app and stream: joined and split again at the last slash, since in RTMP either may hold
//   slashes.
//   Repeated, leading and (not in HTTP) trailing slashes are dropped, and Flash's `_definst_`.
// - arguments are no part of the key. They travel upstream as they came, the app's before the
//   stream's. They may hang on app, stream or tcUrl; `app?vhost=x/stream` and `app...vhost...x` too.
// - RTMP names are taken raw; HTTP and RTSP paths are percent-decoded once, and HTTP's lose their
//   extension.
// - refused (Protocol): "..", a segment ".", `\`, control bytes; in HTTP and RTSP paths `%2f`, `%3f`
//   and bad escapes.
// - SRT: a stream named without an app is of the app `live`.
//
// Threading: pure functions. Bounds: the sizes below; beyond them Errc::Limit.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"

namespace weir {

inline constexpr std::string_view kDefaultVhost = "__defaultVhost__";
inline constexpr std::size_t kMaxApp = 128;
inline constexpr std::size_t kMaxStream = 256;
inline constexpr std::size_t kMaxVhost = 255;
inline constexpr std::size_t kMaxTcUrl = 2048;
inline constexpr std::size_t kMaxArgs = 2048;

struct StreamName {
  std::string vhost;   // kDefaultVhost or a host name
  std::string app;     // one segment or several, "a/b"
  std::string stream;  // one segment
  std::string args;    // verbatim, without the leading '?'

  std::string key() const;  // vhost/app/stream
  bool is_default_vhost() const { return vhost == kDefaultVhost; }
  friend bool operator==(const StreamName&, const StreamName&) = default;
};

struct HttpStream : StreamName {
  std::string extension;  // lower case, without the dot; empty when there is none
  bool has_extension() const { return !extension.empty(); }
};

// From connect's tcUrl and app, and the name given to play or publish. An empty app is taken from
// tcUrl.
// Errors: NotFound when app or stream is missing, Protocol, Limit.
Result<StreamName> stream_from_rtmp(std::string_view tc_url, std::string_view app,
                                    std::string_view stream);

// From the Host header (may be empty) and a request target in origin form, "/app/stream.flv?args".
// Errors: as above.
Result<HttpStream> stream_from_http(std::string_view host_header, std::string_view target);

// From the URI of an RTSP request, absolute or a path, without the part that names a track. Decoded
// as HTTP's, but a dot in the stream's name is its own. Errors: as above; NotFound also for a path
// of one segment, which other servers take for a stream.
Result<StreamName> stream_from_rtsp(std::string_view uri);

// From a streamid's host (may be empty) and resource, "app/stream?args". Errors: as above.
Result<StreamName> stream_from_srt(std::string_view host, std::string_view resource);

// The ways back: each names the same stream when it is read again. `host_port` stands for the
// default vhost.
std::string tc_url(const StreamName& name, std::string_view host_port);    // rtmp://host/app
std::string rtmp_stream(const StreamName& name);                           // stream?args
std::string rtmp_url(const StreamName& name, std::string_view host_port);  // both
// Percent-encoded, with the arguments: "/app/stream.flv?args". With an empty extension a dot in the
// stream's own name would be taken for one.
std::string http_path(const StreamName& name, std::string_view extension);

}  // namespace weir
