// common/wire/http1_line.h
// Lines of HTTP/1.x as they trickle in, and how a bad message is refused.
//
// Strict on purpose: a line ends with CRLF and nothing else, and holds no control byte but the tab.
// Two parties that read one stream differently are what request smuggling is made of.
//
// Threading: one owner. Bounds: never keeps more than one unfinished line of `max` bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/error.h"

namespace weir::http {

// An Error that knows the status to answer with before closing: 400, 413, 414, 431 or 505 for what
// a viewer sent, 502 for what an origin sent. Parsed<T> converts to Result<T> where the status is
// of no use.
struct Refusal : Error {
  int status = 400;
};

template <class T>
using Parsed = std::expected<T, Refusal>;

inline std::unexpected<Refusal> refuse(int status, Errc code, std::string text) {
  return std::unexpected(Refusal{{code, std::move(text)}, status});
}

class LineReader {
 public:
  // The next line without its CRLF; nullopt when `input` is used up before its end. The view lives
  // until the next call or the end of the input's memory. Errors: Limit for more than `max` bytes
  // before the CRLF, Protocol for a bare LF or a control byte. A longer line is Limit however it is
  // cut into pieces.
  Result<std::optional<std::string_view>> next(ByteView& input, std::size_t max);

  // No unfinished line waits.
  bool empty() const { return clear_ || partial_.empty(); }

 private:
  std::string partial_;
  bool clear_ = false;  // partial_ holds the line that was handed out last
};

}  // namespace weir::http
