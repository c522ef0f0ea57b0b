// common/wire/http1_headers.h
// The fields of an HTTP/1.x message, and the small grammar they are made of (RFC 9110 section 5).
//
// A list and not a map: order and repetition mean something (Set-Cookie, Via), a proxy passes on
// what it got, and with at most 64 fields a scan is cheaper than hashing. Names are compared
// without case.
//
// What is put in here can be written to a peer: a value's control bytes become spaces (RFC
// 9110 5.5), so that no value, wherever it came from, can start a new line.
//
// Threading: a value. Bounds: the reader's limits, or what the caller adds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace weir::http {

struct Header {
  std::string name;
  std::string value;

  friend bool operator==(const Header&, const Header&) = default;
};

class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields);

  // The first value of that name. The view lives until the list changes.
  std::optional<std::string_view> find(std::string_view name) const;
  std::vector<std::string_view> find_all(std::string_view name) const;
  bool has(std::string_view name) const { return find(name).has_value(); }
  // Whether a comma-separated list holds the token, over all fields of that name:
  // has_token("Connection", "close").
  bool has_token(std::string_view name, std::string_view token) const;

  // REQUIRES: is_token(name).
  void add(std::string_view name, std::string_view value);
  // Leaves exactly one field of that name, where the first one stood. REQUIRES: is_token(name).
  void set(std::string_view name, std::string_view value);
  // Returns how many fields went.
  std::size_t remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }

  friend bool operator==(const Headers&, const Headers&) = default;

 private:
  std::vector<Header> fields_;
};

// RFC 9110 5.6.2: what methods and field names are made of. Never empty.
bool is_token(std::string_view text);

// ASCII only, whatever the locale.
bool same_ignoring_case(std::string_view a, std::string_view b);

// Without the spaces and tabs at either end.
std::string_view trim(std::string_view text);

// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 5.6.1). Knows
// nothing of quoted strings.
std::vector<std::string_view> split_list(std::string_view text);

// A Content-Length: digits only, at most 2^63-1.
std::optional<std::uint64_t> parse_content_length(std::string_view text);

// `Refuse` for requests. RFC 9112 5.1 has a proxy drop that space in responses.
enum class SpaceBeforeColon { Refuse, Drop };

// One field line without its CRLF, as LineReader gives it. Errors: Errc::Protocol.
Result<Header> parse_field_line(std::string_view line, SpaceBeforeColon space);

}  // namespace weir::http
