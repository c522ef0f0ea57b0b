// proxy/shared_codec.h
// What stands in Redis, as text: names to keys, and routes, members and notes to JSON values and
// back.
//
//   weir:route:5d41402abc4b2a76b9719d911017c592   {"stream":"__defaultVhost__/live/cam","upstream":"o1","generation":"8f1c03..."}
//   weir:origin:<hash of its server id>           what it said about itself, as registration.h has it
//   weir:proxy:<hash of its server id>            the same, of a proxy
//   weir:session:<hash of the name>               {"name":"...","value":"..."}
//
// The hash is the first 128 bits of SHA-256, so that keys are short, of one length and free of what
// a client puts into a name; who could make two names collide would steal a stream. The value
// carries the name in full all the same, and a value under another's key is a bad value.
//
// Whoever can write to the database can put anything there: decoding trusts nothing.
//
// Threading: pure functions. Bounds: kMaxSharedValue for a value, kMaxSharedText for a text in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "proxy/registration.h"

namespace weir {

inline constexpr std::size_t kMaxSharedValue = 16 * 1024;
inline constexpr std::size_t kMaxSharedText = 1024;  // a stream key has at most 641
inline constexpr std::size_t kMaxSharedDepth = 4;

enum class SharedKind : std::uint8_t { Route, Origin, Proxy, Session };

std::string_view name(SharedKind kind);
std::optional<SharedKind> shared_kind(std::string_view name);

// REQUIRES: `name` as stream_key.h or registration.h made it.
std::string shared_key(std::string_view prefix, SharedKind kind, std::string_view name);
// The kind of a key that shared_key() may have made.
std::optional<SharedKind> kind_of_key(std::string_view prefix, std::string_view key);

struct SharedRoute {
  std::string stream;  // its key
  std::string upstream;
  std::uint64_t generation = 0;

  friend bool operator==(const SharedRoute&, const SharedRoute&) = default;
};

struct SharedNote {
  std::string name;
  std::string value;

  friend bool operator==(const SharedNote&, const SharedNote&) = default;
};

// Equal values give equal text.
std::string encode(const SharedRoute& route);
std::string encode(const Registration& member);
std::string encode(const SharedNote& note);

// Errors: Protocol for wrong JSON or a wrong schema, Limit beyond a bound. Unknown fields are
// ignored, for those of later versions.
Result<SharedRoute> decode_route(std::string_view text);
Result<Registration> decode_member(std::string_view text);
Result<SharedNote> decode_note(std::string_view text);

}  // namespace weir
