// common/wire/http1.h
// HTTP/1.x messages as values: what a head says, how its body is framed, and how it is written
// again.
//
// A proxy never copies a head through. It reads one strictly (http1_head.h), decides the framing,
// removes what belongs to one hop, and writes its own: bytes that two parties could read
// differently do not survive that.
//
//     framing = framing_of(request);  remove_hop_by_hop(request.headers);
//     set_framing(request.headers, framing);  request.minor_version = 1;  write(request, out);
//
// Threading: values and pure functions. Bounds: the reader's limits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/wire/http1_headers.h"

namespace weir::http {

struct Request {
  std::string method = {};
  std::string target = {};
  int minor_version = 1;  // HTTP/1.<minor_version>
  Headers headers = {};

  friend bool operator==(const Request&, const Request&) = default;
};

struct Response {
  int status = 200;
  std::string reason = {};
  int minor_version = 1;
  Headers headers = {};

  friend bool operator==(const Response&, const Response&) = default;
};

// The parts of a request's target, as views of the request. `authority` is the absolute-form's,
// else Host's value (RFC 9112 3.2.2), possibly empty. `path` is "*" for the asterisk-form, else
// begins with a slash (and is "/" for an absolute-form without path). `query` is without its
// question mark. Nothing is decoded.
struct Target {
  std::string_view authority;
  std::string_view path;
  std::string_view query;
};
Target target_of(const Request& request);

// `uri-host [":" port]` as in Host. Empty is not valid.
bool is_authority(std::string_view text);

// How the body that follows a head ends, RFC 9112 section 6.3.
struct BodyFraming {
  enum Kind { None, Length, Chunked, UntilClose };
  Kind kind = None;
  std::uint64_t length = 0;  // of Kind::Length

  friend bool operator==(const BodyFraming&, const BodyFraming&) = default;
};

// REQUIRES: the message came from a HeadReader, or is as well-formed.
BodyFraming framing_of(const Request& request);
BodyFraming framing_of(const Response& response, std::string_view request_method);

// Makes the headers announce that framing. None leaves Content-Length alone: after HEAD it is
// information.
void set_framing(Headers& headers, BodyFraming framing);

// Whether the connection may carry another message after this one (RFC 9112 9.3).
bool keeps_alive(const Request& request);
bool keeps_alive(const Response& response);

// RFC 6455 4.1, as far as a proxy cares. And the answer that grants it.
bool is_websocket_upgrade(const Request& request);
bool is_websocket_upgrade(const Response& response);

enum class Upgrade { Remove, Keep };

// Removes what concerns one connection only (RFC 9110 7.6.1): Connection and the fields it names,
// Keep-Alive, Proxy-Connection, TE, Upgrade and HTTP2-Settings; Transfer-Encoding, for
// set_framing() says it anew; Proxy-Authenticate, Proxy-Authorization and
// Proxy-Authentication-Info, for credentials of this hop must not reach the next. Trailer stays:
// trailers are passed on, so their announcement is too. Never removed because Connection names
// them: Content-Length and Host (smuggling), CDN-Loop and Via (loops). Upgrade::Keep, for
// WebSocket, leaves Upgrade and writes `Connection: Upgrade`.
void remove_hop_by_hop(Headers& headers, Upgrade upgrade = Upgrade::Remove);

// Appends the head with its blank line. Bytes that would break the first line are percent-encoded
// in a target and become spaces in a reason. An empty reason is legal and stays empty. REQUIRES:
// is_token(method), a status of three digits.
void write(const Request& request, std::string& out);
void write(const Response& response, std::string& out);

// "Not Found"; empty for a status without a name.
std::string_view reason_phrase(int status);

// Head and body, ready to send, with Content-Length (but for 1xx, 204 and 304, which also lose the
// body) and Content-Type (unless empty).
std::string simple_response(int status, std::string_view content_type, std::string_view body,
                            const Headers& extra = {});

}  // namespace weir::http
