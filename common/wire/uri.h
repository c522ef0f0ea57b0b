// common/wire/uri.h
// A URI reference in its parts (RFC 3986 4.1), and what playlists and manifests are rewritten with.
//
// Nothing is decoded or checked: the parts, put together again, are the text. Templates such as
// `$Number%05d$.m4s` go through here, which are no URIs yet.
//
// Threading: values and pure functions. Bounds: views of the text.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

struct UriReference {
  std::optional<std::string_view> scheme;     // without its colon
  std::optional<std::string_view> authority;  // without its slashes
  std::string_view path;
  std::optional<std::string_view> query;     // without its question mark
  std::optional<std::string_view> fragment;  // without its hash

  // Leads to where the document came from, whatever that is.
  bool is_relative() const { return !scheme && !authority; }
};

UriReference split_uri(std::string_view text);

enum class UriUse {
  Fetched,  // a client may ask for it
  Base,     // others are relative to it, and nobody asks for it itself
};

// What a URI in a document becomes; nothing: it stays as it is.
using UriRewriter = std::function<std::optional<std::string>(std::string_view uri, UriUse use)>;

}  // namespace weir
