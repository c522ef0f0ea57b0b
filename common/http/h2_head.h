// common/http/h2_head.h
// What HTTP/2 says in header blocks, as the heads of HTTP/1.1, and the other way round (RFC 9113
// section 8).
//
// nghttp2 has checked the fields before they come here: pseudo-header fields complete and in front,
// names in lower case, no fields of a connection, values without control characters. What could
// still make two requests of one, a space or a line's end in the first line, is refused here.
//
// Threading: values. Bounds: RequestFields::kMost.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/wire/http1.h"

namespace weir::http {

class RequestFields {
 public:
  // Names and values, and 32 bytes for each field (RFC 9113 10.5.1).
  static constexpr std::size_t kMost = 32 * 1024;

  void add(std::string_view name, std::string_view value);
  const std::string& method() const { return method_; }
  // Came to more than kMost; what was too much is not kept.
  bool too_large() const { return size_ > kMost; }
  // The head of HTTP/1.1, with its blank line. With a body of unknown length it announces chunks.
  // Errors: Protocol.
  Result<std::string> head(bool has_body) const;
  // Whether it does so.
  bool chunked(bool has_body) const { return has_body && !has_length_; }

 private:
  std::size_t size_ = 0;
  bool has_length_ = false;
  std::string method_;
  std::string target_;
  std::string authority_;
  std::string cookie_;
  std::string lines_;
};

// A response's fields, the status first, in lower case and without those of a connection.
using FieldList = std::vector<std::pair<std::string, std::string>>;
FieldList response_fields(const Response& response);

}  // namespace weir::http
