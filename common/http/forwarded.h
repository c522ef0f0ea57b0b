// common/http/forwarded.h
// Whose a request is that came by way of others: Forwarded (RFC 7239) and X-Forwarded-For.
//
//     Forwarded: for=203.0.113.7;proto=https, for="[2001:db8::17]:4711"
//     X-Forwarded-For: 203.0.113.7, 2001:db8::17
//
// Every hop adds, at the right, from whom it has the request. So the row is read from the right, for
// as long as those who wrote it are trusted: what stands before may have been made up. The client is
// the first address that is no trusted hop's; when all are, the first of the row.
//
// Who is no trusted hop says nothing, and what he says is not passed on either.
//
// Threading: pure functions. Bounds: kMaxForwarded bytes and kMaxForwardedNodes of either field.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/admission.h"
#include "common/wire/http1_headers.h"

namespace weir::http {

constexpr std::size_t kMaxForwarded = 4096;
constexpr std::size_t kMaxForwardedNodes = 64;

// From whom a hop has a request.
struct ForwardedNode {
  enum class Kind : std::uint8_t { Address, Hidden, Malformed };
  Kind kind = Kind::Hidden;  // "unknown", "_anything", or not told (RFC 7239 6.2, 6.3)
  Address address{};         // with port 0 when none was told
};

// The nodes of one field's value, the farthest first. Of Forwarded, whose quoted strings make sense
// only from the left, one mistake spoils the value: it is one malformed node. A member of
// X-Forwarded-For is an address with or without brackets and port, and spoils nothing but itself.
std::vector<ForwardedNode> read_forwarded(std::string_view value);
std::vector<ForwardedNode> read_x_forwarded_for(std::string_view value);

// The client of a request that `sender` sent: himself unless he is a trusted hop that names another;
// nothing when the hops do not say who it is. Forwarded goes before X-Forwarded-For. Removes from the
// headers what is not to be passed on, which is all of it when the sender is not trusted. `hops` may
// be null: nobody is. Errors: Protocol when what decides is malformed, Limit.
Result<std::optional<Address>> take_client(Headers& headers, const Address& sender,
                                           const TrustedHops* hops);

// All that hops say of a request: these two, X-Forwarded-anything, X-Real-IP.
void remove_hop_fields(Headers& headers);

// An element of Forwarded: `for=203.0.113.7` or `for="[2001:db8::17]"`.
std::string forwarded_for(const Address& node);

}  // namespace weir::http
