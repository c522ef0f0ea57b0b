// common/wire/http1_head.h
// Reads the heads of a connection: bytes in as they come, whole Requests or Responses out.
//
// Line by line, so that a bad head is refused at its first bad line and not when its end or a
// deadline comes. What is refused, beyond broken syntax: obs-fold, Content-Length together with
// Transfer-Encoding, lengths that differ, have a sign or overflow, a Transfer-Encoding other than
// exactly `chunked`, HTTP versions but 1.0 and 1.1. In requests also: a missing, repeated or
// malformed Host (HTTP/1.0 may do without), a second Content-Length, targets but origin-form,
// absolute-form of http and https, and `OPTIONS *`, and white space before a colon. In responses
// that space is dropped, Content-Lengths that agree become one, a reason may be missing, any status
// of three digits from 100 up passes. Bytes above 0x7f pass in targets and values: players put raw
// UTF-8 there.
//
// Pipelining: after a head, the rest of `input` is that head's body or the next head.
//
// Threading: one owner. Bounds: Limits; memory follows the bytes that arrived.
#pragma once

#include <optional>

#include "common/wire/http1.h"
#include "common/wire/http1_line.h"

namespace weir::http {

struct Limits {
  std::size_t head = 32 * 1024;   // first line and headers with their CRLFs: 431
  std::size_t line = 8 * 1024;    // first line without CRLF: 414
  std::size_t header = 8 * 1024;  // one header line without CRLF: 431
  std::size_t count = 64;         // headers: 431
  std::size_t empty_lines = 4;    // CRLFs before a request (RFC 9112 2.2): 400
};

template <class Message>
class HeadReader {
 public:
  explicit HeadReader(Limits limits = {}) : limits_(limits) {}

  // Takes from the front of `input` what belongs to the head; nullopt when more bytes are needed,
  // and then all of `input` was taken. Refusals carry Errc::Protocol or Errc::Limit and the status;
  // every call after one returns it again.
  Parsed<std::optional<Message>> next(ByteView& input);

  // Nothing of the next head has come, not even an empty line: an end of the connection here is an
  // orderly one.
  bool idle() const { return !started_ && empty_lines_ == 0 && lines_.empty() && !refusal_; }

 private:
  Parsed<bool> take_line(std::string_view line);  // true: the head is complete
  Refusal refusal_for(const Error& line_error, bool head_is_full) const;

  Limits limits_;
  LineReader lines_;
  Message message_;
  std::size_t used_ = 0;
  std::size_t empty_lines_ = 0;
  bool started_ = false;
  std::optional<Refusal> refusal_;
};

using RequestReader = HeadReader<Request>;
using ResponseReader = HeadReader<Response>;

extern template class HeadReader<Request>;
extern template class HeadReader<Response>;

}  // namespace weir::http
