// common/wire/http1_first_line.h
// The first line of a message of HTTP/1.x (RFC 9112 3 and 4), or of RTSP, which took its form from
// it. The protocol's name and version are a matter of `read_version`, which is given that word
// alone; so is the target, which is given back unread.
//
// Threading: pure functions. Bounds: the line's.
#pragma once

#include <string_view>

#include "common/wire/http1_line.h"

namespace weir::http {

using ReadVersion = Parsed<int> (*)(std::string_view word);

struct RequestLine {
  std::string_view method;  // a token
  std::string_view target;
  int version = 0;
};
Parsed<RequestLine> read_request_line(std::string_view line, ReadVersion read_version);

struct StatusLine {
  int version = 0;
  int status = 0;  // 100 to 999
  std::string_view reason;
};
// REQUIRES: `read_version` takes no word but of 8 bytes, such as "HTTP/1.1".
Parsed<StatusLine> read_status_line(std::string_view line, ReadVersion read_version);

}  // namespace weir::http
