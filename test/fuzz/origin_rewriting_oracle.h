// test/fuzz/origin_rewriting_oracle.h
// What holds for every document whose URIs are bound to an origin, whatever its format.
//
// - Written again it is the same: once rewritten, nothing is left to rewrite.
// - A second tier changes it once more, and that is all.
// - No URI leads outside: one that was changed stays on the host it came from, and gives back the
//   URI that it was when its token is taken off.
// - It grows by one token for each URI.
#pragma once

#include <string>

#include "common/check.h"
#include "common/error.h"
#include "proxy/origin_token.h"

namespace weir::test {

inline const OriginUris& tier(bool nearer) {
  static const Endpoint endpoint{"10.0.0.1", 8080};
  static const OriginUris far(origin_token("far"), "a.org", {&endpoint, 1});
  static const OriginUris near(origin_token("near"), "a.org", {&endpoint, 1});
  return nearer ? near : far;
}

inline void check_uri(const std::string& before, const std::string& after) {
  const UriReference was = split_uri(before);
  const UriReference is = split_uri(after);
  INVARIANT(is.is_relative(), before, after);
  INVARIANT(was.fragment == is.fragment, before, after);
  INVARIANT(is.path.ends_with(was.path), before, after);
  INVARIANT(!was.is_relative() || was.path == is.path, before, after);
  std::string target = after.substr(0, after.find('#'));
  const auto token = take_origin_token(target);
  if (!token) return;  // a base
  const UriReference stripped = split_uri(target);
  INVARIANT(stripped.path == is.path, before, after);
  // But where the document said it twice itself.
  if (before.find(*token) == std::string::npos)
    INVARIANT(stripped.query == was.query, before, after, target);
}

// `rewrite`: m3u8::rewrite or mpd::rewrite.
template <class Rewrite>
void check_rewriting(std::string_view document, Rewrite rewrite) {
  std::size_t changed = 0;
  const auto bind = [&](bool nearer) -> UriRewriter {
    return [&changed, nearer](std::string_view uri, UriUse use) {
      auto other = tier(nearer).bind(uri, use);
      if (other) check_uri(std::string(uri), *other);
      changed += other.has_value();
      return other;
    };
  };
  const auto keep = [](std::string_view, UriUse) { return std::optional<std::string>(); };

  const Result<std::string> same = rewrite(document, keep);
  const Result<std::string> once = rewrite(document, bind(false));
  INVARIANT(same.has_value() == once.has_value());
  if (!once) return;
  INVARIANT(*same == document);
  // Escaping can make six bytes of one, in the URIs that change.
  INVARIANT(once->size() <= 6 * document.size() + 24 * changed);
  changed = 0;
  const Result<std::string> twice = rewrite(*once, bind(false));
  // It has grown, perhaps beyond a limit.
  if (!twice) {
    INVARIANT(twice.error().code == Errc::Limit, twice.error().text);
    return;
  }
  INVARIANT(*twice == *once && changed == 0, *once, *twice);
  const Result<std::string> tiered = rewrite(*once, bind(true));
  if (!tiered) return;
  changed = 0;
  const Result<std::string> again = rewrite(*tiered, bind(true));
  INVARIANT(!again || (*again == *tiered && changed == 0), *tiered);
}

}  // namespace weir::test
