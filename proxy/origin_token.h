// proxy/origin_token.h
// The name of an origin inside a URI, by which any proxy finds it again.
//
//     origin's playlist                 what viewers get
//     seg-7.ts                      ──► seg-7.ts?weir_o=k3fq7xwcd2m4a
//     part.m4s?x=1#t                ──► part.m4s?x=1&weir_o=k3fq7xwcd2m4a#t
//     http://origin:8080/a/7.ts     ──► /a/7.ts?weir_o=k3fq7xwcd2m4a
//     https://cdn.example/7.ts      ──► as it is, as is data:, skd:, and what has the token already
//
// A token is a hash of the upstream's id, so that proxies which know the same upstreams agree on it
// without talking, and it leads nowhere but to one of them. It is no secret and grants nothing.
//
// Two tiers of proxies: the nearer one finds the farther one's token in the playlist and puts its
// own before it, `weir_o=NEAR.FAR`; each takes its own off and passes the rest. So there is one
// argument, with one token for each tier, however often a playlist is rewritten. Taking a token off
// gives the very bytes that were there before.
//
// What binds. Whatever a playlist leads to must come from the origin that listed it: another
// server's seg-7.ts may be other media. So when that origin is gone the answer is 404, and the next
// playlist leads to the new one. For a playlist inside a playlist the token is only a preference:
// players ask for the same one again and again, and bound to its origin would never hear of the new
// one. With its origin gone, it is asked for where the stream is now.
//
// Threading: pure functions. Bounds: kMaxTiers tokens in a URI, then it is left as it is.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "common/wire/uri.h"

namespace weir {

inline constexpr std::string_view kOriginArgument = "weir_o";
inline constexpr std::size_t kMaxTiers = 8;

// 13 characters of a-z and 2-7.
std::string origin_token(std::string_view upstream_id);

// The origin that a request wants.
struct NamedOrigin {
  std::string token;   // may name nobody
  bool binds = false;  // that one or nobody; else it is preferred
};

// Whether this tier names origins, and whose names are its business.
//
// A proxy's origins come and go, so the first token is always its own. An edge knows the few
// upstreams it will ever have; they may be origins, which it names, or proxies, which have named
// theirs: it must not tie a viewer to one of several proxies that are as good as each other.
struct OriginNaming {
  bool on = false;
  std::vector<std::string> only = {};  // tokens; with some, others are left where they are

  // For these upstreams and no others: on if there are several.
  static OriginNaming among(std::span<const std::string> upstream_ids);
  bool is_ours(std::string_view token) const;
};

// Takes this tier's token off a request target in origin form; nothing when there is none. What is
// returned may be any text, or one of `naming.only`.
std::optional<std::string> take_origin_token(std::string& target, const OriginNaming& naming = {});

// The URIs of one origin's playlists, as viewers should see them.
class OriginUris {
 public:
  // `host` is how the viewer calls us, and thus the origin, when it builds absolute URIs: the
  // request's Host, which may be empty. `endpoints` is where the origin listens.
  OriginUris(std::string token, std::string_view host, std::span<const Endpoint> endpoints,
             const OriginNaming& naming = {});

  // Nothing: it stays as it is.
  std::optional<std::string> bind(std::string_view uri, UriUse use) const;

 private:
  bool is_ours(const UriReference& uri) const;
  bool is_ours(std::string_view authority, bool secure) const;
  // Nothing when the token is there already.
  std::optional<std::string> with_token(std::optional<std::string_view> query) const;

  std::string token_;
  bool leaves_named_;                            // by another tier
  std::array<std::optional<Endpoint>, 2> host_;  // for http and for https
  std::vector<Endpoint> endpoints_;
};

}  // namespace weir
